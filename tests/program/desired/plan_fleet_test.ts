// The changes of each box, and how long a large fleet takes to plan.
import { describe, expect, test } from "bun:test";
import type { AgentView } from "#src/courier/agent_view.ts";
import { parseFleetFile } from "#src/program/desired/fleet_file.ts";
import { type BoxPlan, countDifferences, planFleet } from "#src/program/desired/plan_fleet.ts";
import { type Job, type Model, newPull, State } from "#src/protocol.ts";
import { modelOf } from "#tests/support/sites/scripted_agent.ts";

const GPU = { index: 0, uuid: "GPU-1", name: "H200", memory_used_bytes: 0 };
const NOW = "2026-11-28T03:37:13.995Z";

interface Box {
  readonly models?: readonly Model[] | null;
  readonly labels?: Readonly<Record<string, string>>;
  readonly free?: number | null;
  readonly jobs?: readonly Job[];
  readonly truncated?: readonly string[];
  readonly protect?: readonly string[];
  /** Of one GPU, and of the box. */
  readonly memory?: { readonly gpu: number; readonly ram: number };
}

function boxOf(
  agent: string,
  { models = [], labels = {}, free = 20e9, jobs = [], truncated = [], protect = [], memory }: Box = {},
): AgentView {
  const state = State.parse({
    timestamp: NOW,
    status: "running",
    processed_commands: 0,
    ollama_available: true,
    version: 2,
    agent,
    instance: "i",
    sequence: 1,
    started_at: NOW,
    agent_version: "0.1.0",
    host: agent,
    shared_inbox: "auto",
    serves_shared_inbox: false,
    clock_offset_ms: 0,
    refused_commands: 0,
    degraded_reason: null,
    commands: [],
    ollama: { reachable: true, version: "0.12.0", error: null, checked_at: NOW },
    models,
    model_count: models?.length ?? null,
    running: [],
    jobs,
    job_count: jobs.length,
    disk: free === null ? null : { path: "/m", free_bytes: free, total_bytes: 1e12 },
    gpus: memory === undefined ? [] : [{ ...GPU, memory_total_bytes: memory.gpu }],
    ...(memory === undefined ? {} : { memory: { total_bytes: memory.ram, available_bytes: memory.ram } }),
    truncated,
    labels,
    protected: protect,
  });
  const seen = { lastSeenAt: NOW, silentMs: 0, legacyState: null, key: null };
  return { agent, online: true, reason: null, state, ...seen };
}

function away(view: AgentView): AgentView {
  return { ...view, online: false, reason: "silent" };
}

function plan(lines: readonly string[], ...views: readonly AgentView[]): readonly BoxPlan[] {
  return planFleet(parseFleetFile(lines.join("\n"), "f"), views);
}

/** `gpu-1 pull phi4:latest` */
function stepsOf(boxes: readonly BoxPlan[]): string[] {
  return boxes.flatMap(({ agent, unknown, steps }) =>
    unknown === null ? steps.map(({ action, model }) => `${agent} ${action} ${model}`) : [`${agent} unknown`],
  );
}

const PHI = modelOf("phi4:latest", { digest: "a".repeat(64), size: 9e9 });
const PHI_ON_ALL = ["models:", "  - name: phi4", "    on: all"];

describe("planFleet()", () => {
  test("estimates whether what is to be fetched fits the memory, by the size of another box's copy", () => {
    const boxes = [
      boxOf("gpu-1", { models: [PHI], memory: { gpu: 24e9, ram: 64e9 } }),
      boxOf("gpu-2", { memory: { gpu: 24e9, ram: 64e9 } }),
      boxOf("gpu-3", { memory: { gpu: 8e9, ram: 64e9 } }),
      boxOf("gpu-4", { memory: { gpu: 4e9, ram: 4e9 } }),
      boxOf("gpu-5"),
    ];
    const verdicts = (found: readonly BoxPlan[]) => found.flatMap(({ steps }) => steps.map((step) => step.fits_memory));
    const partly = "fits partly: the rest runs on the CPU";
    expect(verdicts(plan(PHI_ON_ALL, ...boxes))).toEqual([undefined, "fits", partly, "does not fit", null]);
    // No box has it, so that its size is unknown.
    expect(verdicts(plan(PHI_ON_ALL, ...boxes.slice(1, 2)))).toEqual([null]);
  });

  test("pulls what a box lacks, and leaves what it has", () => {
    const found = plan(PHI_ON_ALL, boxOf("gpu-1", { models: [PHI] }), boxOf("gpu-2"));
    expect(stepsOf(found)).toEqual(["gpu-1 unchanged phi4:latest", "gpu-2 pull phi4:latest"]);
    expect(countDifferences(found)).toBe(1);
    expect(found[1]).toMatchObject({ fetch_bytes: 9e9, free_bytes: 20e9, fits: true });
  });

  test("chooses boxes by name, pattern and label", () => {
    const lines = ["models:", "  - name: phi4", '    on: [gpu-1, "rack-*", "label:zone=a"]'];
    const views = [
      boxOf("gpu-1"),
      boxOf("gpu-10"),
      boxOf("rack-7"),
      boxOf("x", { labels: { zone: "a" } }),
      boxOf("y", { labels: { zone: "ab" } }),
    ];
    expect(stepsOf(plan(lines, ...views))).toEqual(["gpu-1", "rack-7", "x"].map((name) => `${name} pull phi4:latest`));
  });

  test("updates a model that has another digest than the file, and takes its size from a box that has the right one", () => {
    const lines = [...PHI_ON_ALL, `    digest: "${"b".repeat(12)}"`];
    const right = { ...PHI, digest: "b".repeat(64), size: 8e9 };
    const found = plan(lines, boxOf("gpu-1", { models: [PHI] }), boxOf("gpu-2", { models: [right] }));
    expect(stepsOf(found)).toEqual(["gpu-1 update phi4:latest", "gpu-2 unchanged phi4:latest"]);
    expect(found[0]?.fetch_bytes).toBe(8e9);
  });

  test("deletes only with prune, only on boxes that the file names, and nothing that is being pulled", () => {
    const models = [PHI, modelOf("old:1b"), modelOf("busy:1b")];
    const jobs = [newPull("019ac8d2-3f5e-7c11-9a40-2b7f6d1e8c05", "gpu-1", "Busy:1b")];
    const views = [boxOf("gpu-1", { models, jobs }), boxOf("other", { models })];
    const lines = ["models:", "  - name: phi4", "    on: gpu-1"];
    expect(stepsOf(plan(lines, ...views))).toEqual(["gpu-1 unchanged phi4:latest"]);
    expect(stepsOf(plan([...lines, "prune: true"], ...views))).toEqual([
      "gpu-1 unchanged phi4:latest",
      "gpu-1 delete old:1b",
    ]);
  });

  test("deletes nothing that is protected there, and nothing at all where a pattern cannot be read", () => {
    const models = [PHI, modelOf("keep:1b"), modelOf("me/own:2b"), modelOf("old:1b")];
    const views = [
      boxOf("gpu-1", { models, protect: ["KEEP:*", "me/*"] }),
      boxOf("gpu-2", { models, protect: ["{a,b}"] }),
    ];
    expect(stepsOf(plan([...PHI_ON_ALL, "prune: true"], ...views))).toEqual([
      "gpu-1 unchanged phi4:latest",
      "gpu-1 delete old:1b",
      "gpu-2 unchanged phi4:latest",
    ]);
  });

  test("counts a box whose models are unknown as no difference, and deletes nothing there", () => {
    const models = [modelOf("old:1b")];
    const lines = ["models:", "  - name: phi4", "    on: [all, gpu-9]", "prune: true"];
    const views = [
      away(boxOf("gpu-1", { models })),
      { ...boxOf("gpu-2", { models }), reason: "ollama_down" as const },
      boxOf("gpu-3", { models: null }),
      boxOf("gpu-4", { models, truncated: ["models"] }),
    ];
    const found = plan(lines, ...views);
    expect(stepsOf(found)).toEqual(["gpu-1", "gpu-2", "gpu-3", "gpu-4", "gpu-9"].map((name) => `${name} unknown`));
    expect(countDifferences(found)).toBe(0);
    expect(found.at(-1)?.unknown).toBe("no such agent is known");
  });

  test("knows whether the models fit the disk as far as their sizes are known", () => {
    const lines = [...PHI_ON_ALL, "  - name: unseen", "    on: gpu-3"];
    const views = [
      boxOf("gpu-1", { models: [PHI] }),
      boxOf("gpu-2", { free: 8e9 }),
      boxOf("gpu-3"),
      boxOf("gpu-4", { free: null }),
    ];
    expect(plan(lines, ...views).map(({ fits }) => fits)).toEqual([true, false, null, null]);
  });

  test("plans 200 boxes with 20 models each in under a second", () => {
    const names = Array.from({ length: 20 }, (_, index) => `model-${index}`);
    const lines = [
      "models:",
      ...names.flatMap((name) => [
        `  - name: ${name}`,
        '    on: ["gpu-*", "label:zone=a"]',
        `    digest: "${"a".repeat(64)}"`,
      ]),
      "prune: true",
    ];
    const models = names.map((name) =>
      modelOf(`${name}:latest`, { digest: (name === "model-1" ? "b" : "a").repeat(64) }),
    );
    const views = Array.from({ length: 200 }, (_, index) => boxOf(`gpu-${index + 1}`, { models }));
    const startedMs = performance.now();
    const found = plan(lines, ...views);
    const tookMs = performance.now() - startedMs;
    process.stdout.write(`Planned 200 boxes x 20 models in ${tookMs.toFixed(0)} ms (target: 1000 ms)\n`);
    expect(countDifferences(found)).toBe(200);
    expect(tookMs).toBeLessThan(5 * 1000);
  });
});
