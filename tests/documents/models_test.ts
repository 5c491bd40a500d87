// The model documents: which fields of a model each list shows.
import { expect, test } from "bun:test";
import { mergeModels, newestPerName } from "#src/courier/models.ts";
import { BriefDetailsDocument, ModelsDocument, modelsDocument } from "#src/documents/models.ts";
import { BriefDetails } from "#src/protocol/brief_details.ts";
import type { Model } from "#src/protocol.ts";

const LOCAL: Model = { name: "phi4:latest", size: 9_053_116_391, modified_at: "2026-11-01T00:00:00Z", digest: "ac89" };
const REMOTE = {
  ...LOCAL,
  name: "phi4:cloud",
  size: 274,
  digest: "d374",
  remote_model: "phi4",
  remote_host: "https://ollama.example",
};

test("modelsDocument() shows where a remote model runs, and nothing of it for a local one", () => {
  const models = mergeModels([{ agent: "gpu-1", models: [LOCAL, REMOTE], clockOffsetMs: 7 }]);
  const document = modelsDocument({ models, unavailable: [] });
  expect(document).toEqual({
    models: [
      { ...REMOTE, agents: ["gpu-1"] },
      { ...LOCAL, agents: ["gpu-1"] },
    ],
  });
  expect(ModelsDocument.parse(document)).toEqual(document);
});

const DETAILS = { family: "phi3", parameter_size: "14.7B", quantization_level: "Q4_K_M" };

test("modelsDocument() shows details and capabilities, also when only an older copy of the model has them", () => {
  const known = { ...LOCAL, details: DETAILS, capabilities: ["tools"], modified_at: "2026-10-01T00:00:00Z" };
  for (const held of [
    [LOCAL, known],
    [known, LOCAL],
  ]) {
    const models = mergeModels(held.map((model, index) => ({ agent: `gpu-${index}`, models: [model] })));
    const document = modelsDocument({ models, unavailable: [] });
    const details = { details: DETAILS, capabilities: ["tools"] };
    expect(document).toEqual({ models: [{ ...LOCAL, ...details, agents: ["gpu-0", "gpu-1"] }] });
    expect(ModelsDocument.parse(document)).toEqual(document);
  }
});

test("BriefDetailsDocument has the fields of the protocol", () => {
  expect(Object.keys(BriefDetailsDocument.shape)).toEqual(Object.keys(BriefDetails.shape));
});

test("newestPerName() leaves only the four fields that the platform knows", () => {
  const { remote_model: _, remote_host: __, ...original } = REMOTE;
  expect(newestPerName([{ ...REMOTE, details: DETAILS, capabilities: [] }])).toStrictEqual([original]);
});
