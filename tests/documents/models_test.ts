// The model documents: which fields of a model each list shows.
import { expect, test } from "bun:test";
import { mergeModels, newestPerName } from "#src/courier/models.ts";
import { ModelsDocument, modelsDocument } from "#src/documents/models.ts";
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

test("newestPerName() leaves only the four fields that the platform knows", () => {
  const { remote_model: _, remote_host: __, ...original } = REMOTE;
  expect(newestPerName([REMOTE])).toEqual([original]);
});
