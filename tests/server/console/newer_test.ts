// What the console makes of what registries have now.
import { expect, test } from "bun:test";
import { keyOf } from "#src/console/models/facts/model_facts.ts";
import { comparedOf, mostBytes, outdatedOf } from "#src/console/models/updates/newer.ts";
import { unknownReasons } from "#src/console/models/updates/unknown_reasons.ts";
import type { JobDocument } from "#src/documents/jobs.ts";
import type { UpdateDocument } from "#src/documents/models/updates.ts";

const AT = "2026-11-28T03:37:13.995Z";

function model(name: string, digest: string, agents: readonly string[]) {
  return { name, digest, size: 10, modified_at: AT, agents: [...agents] };
}

function update(name: string, digest: string, state: UpdateDocument["state"], reason: string | null = null) {
  const registry = state === "outdated" ? { registry_digest: "new", registry_size: 12 } : NO_REGISTRY;
  return { name, digest, size: 10, agents: ["gpu-1", "gpu-2"], state, ...registry, checked_at: AT, reason };
}

const NO_REGISTRY = { registry_digest: null, registry_size: null };

function pulling(agent: string, name: string, state: JobDocument["state"]): JobDocument {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else of a job is looked at
  return { agent, model: name, state } as JobDocument;
}

const COMPARED = comparedOf({
  updates: [
    update("phi4:latest", "old", "outdated"),
    update("gemma3:12b", "old", "outdated"),
    update("copy:latest", "c0", "local"),
    update("qwen3:8b", "q", "unknown", "it cannot be reached"),
    update("qwen3:4b", "q", "unknown", "it cannot be reached"),
  ],
});

test("outdatedOf() lists what boxes still have of what was outdated", () => {
  const models = [
    model("phi4:latest", "old", ["gpu-1"]),
    // Updated since registries were asked.
    model("phi4:latest", "new", ["gpu-2"]),
    model("copy:latest", "c0", ["gpu-1"]),
  ];
  const outdated = outdatedOf(models, COMPARED, []);
  expect(outdated.map(({ model: { name }, agents }) => [name, agents])).toEqual([["phi4:latest", ["gpu-1"]]]);
});

test("outdatedOf() leaves out boxes that pull the model now", () => {
  const models = [model("phi4:latest", "old", ["gpu-1", "gpu-2"]), model("gemma3:12b", "old", ["gpu-1"])];
  const jobs = [
    pulling("gpu-1", "phi4:latest", "running"),
    pulling("gpu-2", "phi4:latest", "failed"),
    pulling("gpu-1", "gemma3:12b", "queued"),
  ];
  const outdated = outdatedOf(models, COMPARED, jobs);
  expect(outdated.map((each) => [keyOf(each.model), each.agents])).toEqual([["phi4:latest old", ["gpu-2"]]]);
});

test("mostBytes() counts the newer versions of what a box has", () => {
  const models = [model("phi4:latest", "old", ["gpu-1", "gpu-2"]), model("gemma3:12b", "old", ["gpu-1"])];
  const outdated = outdatedOf(models, COMPARED, []);
  expect(["gpu-1", "gpu-2", "gpu-3"].map((agent) => mostBytes(outdated, agent))).toEqual([24, 12, 0]);
});

test("unknownReasons() counts the models of each reason", () => {
  expect([...unknownReasons(COMPARED)]).toEqual([["it cannot be reached", 2]]);
});
