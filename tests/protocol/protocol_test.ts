// src/protocol: the golden samples of the wire, the grammar of names, versions and limits.
import { describe, expect, test } from "bun:test";
import { posix } from "node:path";
import * as fc from "fast-check";
import type { z } from "zod";
import { ERROR_CODES } from "#src/base/errors.ts";
import {
  AgentName,
  Code,
  CommandId,
  CommandV1,
  CommandV2,
  LEGACY_SERVICE_AGENT,
  LIMITS,
  PROTOCOL_VERSION,
  Response,
  State,
  StateV1,
  VERBS,
  Verb,
} from "#src/protocol.ts";
import { sampleDocument, samplePaths, sampleText } from "#tests/support/wire_samples.ts";

/** The schema of a sample, chosen by its name. @throws for a sample without a schema */
function schemaOf(path: string): z.ZodType {
  const schemas: Record<string, z.ZodType> = {
    "v1/command": CommandV1,
    "v1/response": Response,
    "v1/status": StateV1,
    "v2/command": CommandV2,
    "v2/response": Response,
    "v2/state": State,
  };
  const schema = Object.entries(schemas).find(([prefix]) => path.startsWith(prefix))?.[1];
  if (schema === undefined) throw new Error(`Cannot check "${path}": no schema for such a name`);
  return schema;
}

function without(document: Record<string, unknown>, field: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(document).filter(([name]) => name !== field));
}

const EVERY_SAMPLE = [...samplePaths("v1"), ...samplePaths("v2")];

describe("golden samples", () => {
  test.each(EVERY_SAMPLE)("parse() loses nothing of %s", (path) => {
    const document = sampleDocument(path);
    expect(schemaOf(path).parse(document)).toEqual(document);
  });

  test.each(EVERY_SAMPLE)("parse() reads %s anyway when it has a field of a later release", (path) => {
    const document = sampleDocument(path);
    const grown = { ...document, field_of_a_later_release: { deep: [1, null] } };
    expect(schemaOf(path).parse(grown)).toMatchObject(document);
  });

  test("State tolerates unknown fields when they are deep inside", () => {
    const state = State.parse(sampleDocument("v2/state.json"));
    const grown = {
      ...state,
      models: state.models?.map((model) => ({ ...model, family: "phi3" })),
      jobs: state.jobs.map((job) => ({ ...job, priority: 7 })),
      ollama: { ...state.ollama, uptime: 1 },
    };
    expect(State.parse(grown)).toMatchObject(state);
  });

  test.each(samplePaths("v2", "response"))("%s has a code exactly when it failed", (path) => {
    const { success, code, error, message } = Response.parse(sampleDocument(path));
    expect({ code: code !== undefined, error: error !== undefined }).toEqual({ code: !success, error: !success });
    expect(message === undefined || success).toBe(true);
  });

  test.each(EVERY_SAMPLE)("%s is smaller than its limit", (path) => {
    const limit = path.includes("/command") ? LIMITS.commandBytes : LIMITS.stateBytes;
    expect(Buffer.byteLength(sampleText(path))).toBeLessThan(limit);
  });
});

describe("versions", () => {
  test.each(samplePaths("v2", "command"))("CommandV2 refuses %s when a field is missing", (path) => {
    const command = sampleDocument(path);
    const optional = new Set(["model_name", "arguments", "requested_by", "expires_at", "signature"]);
    const missing = Object.keys(command).filter((field) => CommandV2.safeParse(without(command, field)).success);
    expect(missing.filter((field) => !optional.has(field))).toEqual([]);
  });

  test.each(["v2/state.json", "v2/state_degraded.json"])("State refuses %s when a field is missing", (path) => {
    const state = sampleDocument(path);
    expect(Object.keys(state).filter((field) => State.safeParse(without(state, field)).success)).toEqual([]);
  });

  test.each([1, 3, 0, -2, 2.5, "2", null, true])("CommandV2 refuses version %p", (version) => {
    expect(CommandV2.safeParse({ ...sampleDocument("v2/command_ping.json"), version }).success).toBe(false);
  });

  test.each([1, 2, 3, "1", false])("CommandV1 refuses version %p: the original has no such field", (version) => {
    expect(CommandV1.safeParse({ ...sampleDocument("v1/command_list_models.json"), version }).success).toBe(false);
  });

  test.each([1, 3, "2", true])("Response refuses version %p", (version) => {
    expect(Response.safeParse({ ...sampleDocument("v2/response_ping.json"), version }).success).toBe(false);
  });

  test.each([1, 3, "2", null])("State refuses version %p", (version) => {
    expect(State.safeParse({ ...sampleDocument("v2/state.json"), version }).success).toBe(false);
  });

  test("StateV1 refuses a state document with a version", () => {
    expect(StateV1.safeParse(sampleDocument("v2/state.json")).success).toBe(false);
    expect(State.safeParse(sampleDocument("v1/status.json")).success).toBe(false);
  });

  test("StateV1 reads the four original fields of a newer agent's state when its version is removed", () => {
    const state = without(sampleDocument("v2/state.json"), "version");
    expect(StateV1.parse(state)).toMatchObject({ status: "running", processed_commands: 41, ollama_available: true });
  });

  test("CommandV1 accepts a command when everything but its verb is missing or malformed", () => {
    expect(CommandV1.safeParse({ command: "list_models" }).success).toBe(true);
    expect(CommandV1.safeParse({ command: "list_models", timestamp: 1752597600 }).success).toBe(true);
    expect(CommandV1.safeParse({ command_id: "x" }).success).toBe(false);
    expect(CommandV1.safeParse({ command: 7 }).success).toBe(false);
    expect(CommandV1.safeParse([]).success).toBe(false);
  });

  test("CommandV2 accepts an unknown verb: the agent answers unimplemented", () => {
    const command = { ...sampleDocument("v2/command_ping.json"), command: "polish_fans" };
    expect(CommandV2.safeParse(command).success).toBe(true);
    expect(Verb.safeParse(command.command).success).toBe(false);
  });
});

const NEVER_A_NAME = [
  ["", "empty"],
  ["../x", "a parent folder"],
  ["..", "the parent folder"],
  [".", "the folder itself"],
  [".tmp", "a dot name"],
  ["a/b", "a slash"],
  ["/etc/passwd", "an absolute path"],
  ["a\\b", "a backslash"],
  ["a\0b", "a zero byte"],
  ["a\nb", "a line feed"],
  ["a\n", "a line feed at the end"],
  ["\u001b[31m", "an escape sequence"],
  ["a\u007f", "a delete character"],
  [" a", "a space in front"],
  ["a b", "a space inside"],
  ["a.json", "a dot inside"],
  ["a~b", "a tilde"],
  ["a%2fb", "an encoded slash"],
  ["gpü-1", "a character outside ASCII"],
  ["ａ", "a full-width character"],
  ["a\u202eb", "a direction mark"],
  ["-rf", "a hyphen in front"],
] as const;

describe("names", () => {
  test.each(NEVER_A_NAME)("AgentName and CommandId refuse %p: %s", (name) => {
    expect(AgentName.safeParse(name).success).toBe(false);
    expect(CommandId.safeParse(name).success).toBe(false);
  });

  test.each(["a", "0", "gpu-1", "a--b", "server-platform-1f4c", "9".repeat(63)])("AgentName accepts %p", (name) => {
    expect(AgentName.parse(name)).toBe(name);
  });

  test.each(["GPU-1", "Gpu", "gpu_1", "gpu-", "-gpu", "-", "_gpu", "a".repeat(64), "a".repeat(100_000), 7, null])(
    "AgentName refuses %p",
    (name) => {
      expect(AgentName.safeParse(name).success).toBe(false);
    },
  );

  test.each([
    "a",
    "Z",
    "0",
    "a-",
    "a_",
    "test_command",
    "list_models_1752597600",
    "01981a5e-7c2d-7a41-8f03-5b6c9d0e1f22",
    "x".repeat(128),
  ])("CommandId accepts %p", (id) => {
    expect(CommandId.parse(id)).toBe(id);
  });

  test.each(["_a", "x".repeat(129), "x".repeat(100_000), 1752597600, null])("CommandId refuses %p", (id) => {
    expect(CommandId.safeParse(id).success).toBe(false);
  });

  test("AgentName and CommandId accept nothing that escapes a folder when it becomes a file name", () => {
    const characters = fc.constantFrom(...Array.from("aZ0-_./\\~ \n\0\u007f%ü:"));
    const strings = fc.oneof(fc.string({ unit: characters, maxLength: 12 }), fc.string());
    fc.assert(
      fc.property(strings, (name) => {
        if (!AgentName.safeParse(name).success && !CommandId.safeParse(name).success) return;
        expect(posix.join("/share/inbox", `${name}.json`)).toBe(`/share/inbox/${name}.json`);
        expect(name).toMatch(/^[!-~]+$/);
        expect(Buffer.byteLength(`${name}_response.json`)).toBeLessThan(255);
      }),
    );
  });

  test.each(["agent", "reply_to", "command_id"])("CommandV2 refuses a command whose %s escapes its folder", (field) => {
    expect(CommandV2.safeParse({ ...sampleDocument("v2/command_ping.json"), [field]: "../x" }).success).toBe(false);
  });

  test("LEGACY_SERVICE_AGENT fits the grammar of agents: its state document is read like any other", () => {
    expect(AgentName.parse(LEGACY_SERVICE_AGENT)).toBe("gpu");
  });
});

describe("limits", () => {
  test.each([1, 30_000, 86_400_000])("CommandV2 accepts a ttl_ms of %p", (ttl_ms) => {
    expect(CommandV2.safeParse({ ...sampleDocument("v2/command_ping.json"), ttl_ms }).success).toBe(true);
  });

  test.each([0, -1, 1.5, 86_400_001, Number.MAX_SAFE_INTEGER + 1, "30000", null])(
    "CommandV2 refuses a ttl_ms of %p",
    (ttl_ms) => {
      expect(CommandV2.safeParse({ ...sampleDocument("v2/command_ping.json"), ttl_ms }).success).toBe(false);
    },
  );

  test("LIMITS are part of the protocol: changing one changes the wire", () => {
    expect(LIMITS).toMatchObject({
      commandBytes: 65_536,
      responseBytes: 4_194_304,
      stateBytes: 262_144,
      maxTtlMs: 86_400_000,
      silentMs: 20_000,
      partialMs: 5_000,
      emptyMs: 60_000,
    });
  });
});

describe("words", () => {
  test("PROTOCOL_VERSION is 2", () => {
    expect(PROTOCOL_VERSION).toBe(2);
  });

  test("Code lists the codes of ERROR_CODES when either changes", () => {
    expect<string[]>(Code.options.toSorted()).toEqual(Object.keys(ERROR_CODES).toSorted());
  });

  test("VERBS marks the verbs that change something, those of version 1, and those that name a model", () => {
    const named = (wanted: (verb: Verb) => boolean): string => Verb.options.filter(wanted).join(" ");
    expect(named((verb) => VERBS[verb].version === 1)).toBe("list_models pull_model delete_model");
    expect(named((verb) => !VERBS[verb].changing)).toBe(
      "list_models ping show_model list_running list_jobs disk_usage published_model",
    );
    expect(named((verb) => !VERBS[verb].model)).toBe(
      "list_models ping list_running list_jobs cancel_job disk_usage prune",
    );
  });
});
