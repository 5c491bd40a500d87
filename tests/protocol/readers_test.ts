// src/protocol: readers tolerate what other releases and other programs write, and release 0.1.0 can read our documents.
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import {
  CommandV1,
  CommandV2,
  LEGACY_SERVICE_AGENT,
  newPull,
  parseState,
  Response,
  State,
  StateV1,
} from "#src/protocol.ts";
import * as release010 from "#tests/support/release_0_1_0.ts";
import { MemorySite } from "#tests/support/sites/agent_on_memory.ts";
import { sampleDocument, samplePaths, sampleText } from "#tests/support/wire_samples.ts";

const EVERY_SAMPLE = [...samplePaths("v1"), ...samplePaths("v2")];

/** The effect of null in each field of a document: `missing`, `null` or `refused`. */
function nulled(schema: z.ZodObject, document: Record<string, unknown>): Record<string, string> {
  const outcome = (field: string): string => {
    const parsed = schema.safeParse({ ...document, [field]: null });
    if (!parsed.success) return "refused";
    return parsed.data[field] === undefined ? "missing" : "null";
  };
  return Object.fromEntries(Object.keys(schema.shape).map((field) => [field, outcome(field)]));
}

describe("null counts as missing where a field may be missing", () => {
  test("in a command of version 1", () => {
    // A timestamp is never read.
    expect(nulled(CommandV1, { command: "list_models" })).toEqual({
      version: "missing",
      command: "refused",
      command_id: "missing",
      timestamp: "null",
      model_name: "missing",
    });
  });

  test("in a command of version 2", () => {
    const outcomes = nulled(CommandV2, sampleDocument("v2/command_pull_model_force.json"));
    const missing = Object.keys(outcomes).filter((field) => outcomes[field] === "missing");
    expect(missing).toEqual(["model_name", "arguments", "requested_by", "expires_at", "signature"]);
    expect(Object.values(outcomes)).not.toContain("null");
  });

  test("in a response, except where null has a meaning of its own", () => {
    const outcomes = nulled(Response, sampleDocument("v2/response_ping.json"));
    const { success, freed_bytes, shared_bytes, ...others } = outcomes;
    expect([success, freed_bytes, shared_bytes]).toEqual(["refused", "null", "null"]);
    expect([...new Set(Object.values(others))]).toEqual(["missing"]);
  });

  test("in a state", () => {
    const outcomes = nulled(State, sampleDocument("v2/state.json"));
    const rare = ["protected", "shared_inbox_only", "waiting_commands", "refused", "fetches"];
    const signing = ["requires_signatures", "key", "boot", "published_at_ms", "foreign_states", "signature"];
    const missing = ["reading_only", "labels", "platform", ...rare, ...signing];
    expect(Object.keys(outcomes).filter((field) => outcomes[field] === "missing")).toEqual(missing);
    const nullable = ["degraded_reason", "models", "model_count", "disk", "memory"];
    expect(Object.keys(outcomes).filter((field) => outcomes[field] === "null")).toEqual(nullable);
  });

  test("in the state of a legacy service, whose version is always missing", () => {
    expect(nulled(StateV1, sampleDocument("v1/status.json"))["version"]).toBe("missing");
  });

  test("in nested models, jobs and details", () => {
    const model = { name: "a", size: 1, modified_at: "", digest: "" };
    const job = newPull("a", "gpu-1", "a");
    const response = {
      success: true,
      models: [{ ...model, remote_model: null, remote_host: null }],
      job: { ...job, retries: null },
      jobs: [{ ...job, retries: null }],
      show: { license: null, template: "t", capabilities: null, details: null },
    };
    const { retries, ...rest } = job;
    expect(retries).toBe(0);
    // In `phase` null has a meaning, and stays.
    expect(rest.phase).toBeNull();
    expect(Response.parse(response)).toEqual({
      success: true,
      models: [model],
      job: rest,
      jobs: [rest],
      show: { template: "t" },
    });
    expect(Response.safeParse({ success: true, job: { ...job, kind: null } }).success).toBe(false);
  });
});

describe("readers skip entries of a list that they do not understand", () => {
  const state = sampleDocument("v2/state_waiting.json");
  const [job] = z.array(z.looseObject({})).parse(state["jobs"]);
  const strange: Record<string, readonly unknown[]> = {
    models: [{ name: "a" }, { name: "a", size: -1, modified_at: "", digest: "" }, "phi4", null],
    running: [{ name: "a", size: 1, size_vram: "all", expires_at: "" }, 7, []],
    commands: [{ command_id: "../x", command: "ping", started_at: "" }, { command: "ping" }],
    gpus: [{ index: 0.5, uuid: "u", name: "n", memory_total_bytes: 1, memory_used_bytes: 1 }, { uuid: "u" }],
    jobs: [
      { ...job, state: "paused" },
      { ...job, kind: "fetch" },
      { ...job, code: "payment_required" },
      { ...job, phase: "unpacking" },
      { ...job, waiting_for: "x".repeat(1001) },
      undefined,
    ],
  };

  /** The list with the unknown entries before, between and after its own. */
  function mixed(name: string, list: unknown): unknown[] {
    const entries = z.array(z.unknown()).parse(list);
    const unknown = strange[name] ?? [];
    return [...unknown, ...entries.flatMap((entry) => [entry, ...unknown])];
  }

  test.each(Object.keys(strange))("%s of a state", (name) => {
    const grown = { ...state, [name]: mixed(name, state[name]) };
    expect(State.parse(grown)).toEqual(State.parse(state));
  });

  test.each([
    ["models", "v1/response_list_models.json"],
    ["models", "v2/response_list_models_remote.json"],
    ["running", "v2/response_list_running.json"],
    ["jobs", "v2/response_list_jobs.json"],
  ])("%s of the response %s", (name, path) => {
    const response = sampleDocument(path);
    const grown = { ...response, [name]: mixed(name, response[name]) };
    expect(Response.parse(grown)).toEqual(Response.parse(response));
  });

  test("a value that is not a list is still refused", () => {
    for (const name of Object.keys(strange))
      for (const list of ["none", 0, { 0: job }, undefined])
        expect(State.safeParse({ ...state, [name]: list }).success).toBe(false);
  });
});

describe("a new field that the reader does not understand costs only itself", () => {
  const document = sampleDocument("v2/state_details.json");
  const { models, running, jobs, ...rest } = State.parse(document);

  /** The state with the field of each entry of a list replaced. */
  function withEach(list: "models" | "running" | "jobs", field: string, value: unknown): unknown {
    const entries = z.array(z.looseObject({})).parse(document[list]);
    return { ...document, [list]: entries.map((entry) => ({ ...entry, [field]: value })) };
  }

  test.each([
    ["models", "details", 7],
    ["models", "details", ["gguf"]],
    ["models", "details", "x".repeat(100_000)],
    ["models", "capabilities", "completion"],
    ["models", "capabilities", [1]],
    ["models", "capabilities", Array.from({ length: 33 }, () => "x")],
    ["models", "capabilities", ["x".repeat(201)]],
    ["running", "digest", 1],
    ["running", "digest", "x".repeat(129)],
    ["running", "details", null],
    ["running", "context_length", -1],
    ["running", "context_length", "4096"],
    ["jobs", "created_at", 1_795_557_680],
    ["jobs", "created_at", "x".repeat(65)],
    ["jobs", "requested_by", { name: "alice" }],
    ["jobs", "requested_by", "x".repeat(65)],
  ] as const)("%s: %s", (list, field, value) => {
    const read = State.parse(withEach(list, field, value));
    const without = (entry: object): object => ({ ...entry, [field]: undefined });
    const expected = { models, running, jobs, ...rest };
    expect(read).toEqual({ ...expected, [list]: expected[list]?.map(without) });
  });

  test("models: one of the details", () => {
    const hostile = { family: 1, families: ["x".repeat(201)], format: "y".repeat(100_000), parameter_size: "7B", x: 1 };
    const read = State.parse(withEach("models", "details", hostile));
    expect(read.models?.map(({ details }) => details)).toEqual(models?.map(() => ({ parameter_size: "7B" })));
  });

  test.each([
    ["memory", { total_bytes: -1, available_bytes: 1 }],
    ["memory", "256 GB"],
    ["labels", ["site"]],
    ["labels", { site: 1 }],
    ["labels", { site: "x".repeat(64) }],
    ["labels", { ["x".repeat(64)]: "berlin" }],
    ["labels", Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`key-${i}`, "value"]))],
    ["platform", "linux"],
    ["platform", { os: "linux" }],
    ["requires_signatures", true],
    ["boot", "seven"],
    ["published_at_ms", "2026-11-23T22:01:20Z"],
    ["refused", { at: "now" }],
  ])("%s: %j", (field, value) => {
    const read = State.parse({ ...document, [field]: value });
    expect(read).toEqual({ models, running, jobs, ...rest, [field]: undefined });
  });

  test("refused: one entry", () => {
    const strange = { at: "", command_id: "../x", command: null, model: null, code: "invalid", error: "" };
    const refused = [strange, ...(rest.refused ?? []), { ...rest.refused?.[0], code: "payment_required" }, 7];
    expect(State.parse({ ...document, refused }).refused).toEqual(rest.refused ?? []);
  });

  test("a prototype is no label", () => {
    const text = sampleText("v2/state_details.json").replace('"site"', '"__proto__"');
    const { labels } = State.parse(JSON.parse(text));
    expect(labels).toEqual({ rack: "b/12" });
    expect(Object.getPrototypeOf(labels)).toBe(Object.prototype);
  });
});

describe("release 0.1.0 reads what this one writes", () => {
  const readers: Record<string, z.ZodObject> = {
    "v1/command": release010.CommandV1,
    "v1/response": release010.Response,
    "v1/status": release010.StateV1,
    "v2/command": release010.CommandV2,
    "v2/response": release010.Response,
    "v2/state": release010.State,
  };

  test.each(EVERY_SAMPLE)("%s", (path) => {
    const reader = Object.entries(readers).find(([prefix]) => path.startsWith(prefix))?.[1];
    expect(reader?.safeParse(sampleDocument(path)).error).toBeUndefined();
  });

  test("the state of an agent, with all fields of a job", async () => {
    const site = new MemorySite();
    try {
      await site.start("gpu-1");
      const state = { ...(await site.state("gpu-1")), jobs: [newPull("a", "gpu-1", "phi4:latest")] };
      expect(release010.State.safeParse(state).error).toBeUndefined();
    } finally {
      await site.close();
    }
  });
});

describe("parseState()", () => {
  test("leaves out the jobs of other agents", () => {
    const document = sampleDocument("v2/state.json");
    const [job] = State.parse(document).jobs;
    const jobs = [job, { ...job, agent: "gpu-2" }];
    expect(parseState("gpu-1", JSON.stringify({ ...document, jobs }))?.state?.jobs).toMatchObject([{ agent: "gpu-1" }]);
  });

  const text = sampleText("v2/state.json");

  test("reads both versions, and only the document of the agent asked for", () => {
    expect(parseState("gpu-1", text)).toMatchObject({ state: { agent: "gpu-1" }, legacyState: null });
    expect(parseState("gpu-2", text)).toBeUndefined();
    expect(parseState(LEGACY_SERVICE_AGENT, sampleText("v1/status.json"))).toMatchObject({
      state: null,
      legacyState: { processed_commands: expect.any(Number) },
    });
    expect(parseState("gpu-1", sampleText("v1/status.json"))).toBeUndefined();
  });

  test("returns the last document while the next one is half-written, for a legacy service only", () => {
    const last = parseState(LEGACY_SERVICE_AGENT, sampleText("v1/status.json"));
    for (const half of ["", '{"timestamp": "2025', "null", "[]"]) {
      expect(parseState(LEGACY_SERVICE_AGENT, half, last)).toBe(last);
      expect(parseState("gpu-1", half, last)).toBeUndefined();
      expect(parseState(LEGACY_SERVICE_AGENT, half)).toBeUndefined();
    }
  });
});
