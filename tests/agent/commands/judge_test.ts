// Which commands an agent accepts, and how it refuses the rest.
import { describe, expect, test } from "bun:test";
import { type AcceptedCommand, judge, lateness, type Refusal } from "#src/agent/commands/judge.ts";
import type { Content, Delivery } from "#src/transport.ts";

const validity = { agent: "gpu-1", listTtlMs: 60_000, changeTtlMs: 86_400_000 };

function delivery(inbox: Delivery["inbox"], content: Content | object, id = "id-1"): Delivery {
  const isContent = "text" in content || "refused" in content;
  return {
    inbox,
    id,
    key: `${id}~0123456789abcdef`,
    content: isContent ? content : { text: JSON.stringify(content) },
    sentAtMs: 0,
  };
}

function judgeOwn(fields: object): AcceptedCommand | Refusal {
  const common = { version: 2, command_id: "id-1", timestamp: "t", agent: "gpu-1", reply_to: "me", ttl_ms: 1000 };
  return judge(delivery({ agent: "gpu-1" }, { ...common, ...fields }), validity);
}

function judgeShared(content: Content | object, id?: string): AcceptedCommand | Refusal {
  return judge(delivery("shared", content, id), validity);
}

function refused(judged: AcceptedCommand | Refusal): string {
  return "error" in judged ? `${judged.error.code}: ${judged.error.message}` : "accepted";
}

describe("judge() on a file that is not a command", () => {
  const cases: [string, Content | object, string][] = [
    [
      "a file that the transport refused",
      { refused: "The file holds 10485760 bytes" },
      "invalid: The file holds 10485760 bytes",
    ],
    ["text that is not JSON", { text: "hello" }, "invalid: The command is not a JSON object"],
    ["an empty text", { text: "" }, "invalid: The command is not a JSON object"],
    ["an array", { text: "[1]" }, "invalid: The command is not a JSON object"],
    ["a string", { text: '"list_models"' }, "invalid: The command is not a JSON object"],
    ["null", { text: "null" }, "invalid: The command is not a JSON object"],
    ["no command", {}, "invalid: Invalid command: "],
    ["a number as command", { command: 7 }, "invalid: Invalid command: "],
  ];
  for (const [what, content, expected] of cases) {
    test(`refuses ${what} in the shared inbox`, () => {
      const judged = judgeShared(content);
      expect(refused(judged)).toStartWith(expected);
      expect(judged.answerTo).toEqual({ address: "shared", ids: ["id-1"], version: 1, request: null });
    });
  }
});

describe("judge() on version 1", () => {
  test("accepts a list without command_id and answers it under its file's name", () => {
    const judged = judgeShared({ command: "list_models" }, "list_1");
    expect(judged).toMatchObject({ verb: "list_models", model: null, ttlMs: 60_000, answerTo: { ids: ["list_1"] } });
  });

  test("accepts null in every field that may be missing", () => {
    const nulls = { version: null, command_id: null, timestamp: null, model_name: null, agent: null, reply_to: null };
    expect(judgeShared({ command: "list_models", command_id: "a", model_name: null })).toMatchObject({
      verb: "list_models",
      answerTo: { ids: ["id-1", "a"] },
    });
    const judged = judgeShared({ command: "list_models", ...nulls }, "list_1");
    expect(judged).toMatchObject({ verb: "list_models", answerTo: { address: "shared", ids: ["list_1"], version: 1 } });
    expect(refused(judgeShared({ ...nulls, command: "pull_model" }))).toBe("invalid: Model name is required");
    // The version field decides where the answer goes: an address means nothing without a version.
    expect(judgeShared({ ...nulls, command: "list_models", reply_to: "me" }).answerTo.address).toBe("shared");
  });

  test("accepts any timestamp, and a model in any of its forms", () => {
    const judged = judgeShared({ command: "pull_model", timestamp: 1752597600, model_name: " PHI4 " });
    expect(judged).toMatchObject({
      verb: "pull_model",
      model: "PHI4:latest",
      ttlMs: 86_400_000,
      ledgerKey: "id-1~0123456789abcdef",
    });
  });

  test("refuses model names that Ollama would refuse or that look like paths", () => {
    for (const name of ["../../etc/passwd", "a".repeat(300), "a\u0000b", "a\nb", "a b", "/etc/passwd", "a@sha256:00"]) {
      expect(refused(judgeShared({ command: "pull_model", model_name: name }))).toStartWith("invalid: Cannot use");
    }
    for (const name of [undefined, "", "  "]) {
      expect(refused(judgeShared({ command: "delete_model", model_name: name }))).toBe(
        "invalid: Model name is required",
      );
    }
    expect(refused(judgeShared({ command: "delete_model", model_name: 7 }))).toStartWith("invalid: Invalid model_name");
  });

  test("refuses an invalid command_id, and answers under the file's name only", () => {
    for (const command_id of ["../x", "a/b", "", "a".repeat(129), ".hidden", "a\u0000"]) {
      const judged = judgeShared({ command: "list_models", command_id });
      expect(refused(judged)).toStartWith("invalid: Invalid command_id");
      expect(judged.answerTo.ids).toEqual(["id-1"]);
    }
  });

  test("refuses verbs of version 2, and shortens a long unknown one", () => {
    expect(refused(judgeShared({ command: "ping" }))).toBe("invalid: Unknown command: ping");
    expect(refused(judgeShared({ command: "x".repeat(5000) })).length).toBeLessThan(120);
  });

  test("refuses a command without a version in an agent's own inbox", () => {
    const judged = judge(delivery({ agent: "gpu-1" }, { command: "list_models" }), validity);
    expect(refused(judged)).toStartWith("invalid: A command without a version");
  });
});

describe("judge() on version 2", () => {
  test("accepts null in every field that may be missing", () => {
    const judged = judgeOwn({ command: "list_models", model_name: null, arguments: null });
    expect(judged).toMatchObject({ verb: "list_models", model: null, arguments: {}, answerTo: { version: 2 } });
    expect(refused(judgeOwn({ command: "pull_model", model_name: null }))).toBe("invalid: Model name is required");
    expect(refused(judgeOwn({ command: "list_models", ttl_ms: null }))).toStartWith("invalid: Invalid ttl_ms");
  });

  test("accepts a command and answers it at the sender's address", () => {
    expect(judgeOwn({ command: "pull_model", model_name: "phi4" })).toMatchObject({
      verb: "pull_model",
      model: "phi4:latest",
      ttlMs: 1000,
      ledgerKey: "id-1",
      answerTo: { address: { replyTo: "me" }, ids: ["id-1"], version: 2 },
    });
  });

  test("refuses a command for another agent, misnamed, of a later version, or in the shared inbox", () => {
    expect(refused(judgeOwn({ command: "ping", agent: "gpu-2" }))).toBe(
      "invalid: This is the inbox of gpu-1, but the command is for gpu-2",
    );
    expect(refused(judgeOwn({ command: "ping", command_id: "id-2" }))).toBe(
      "invalid: The file is named id-1, but its command_id is id-2",
    );
    expect(refused(judgeOwn({ command: "ping", version: 3 }))).toStartWith(
      "unimplemented: This agent speaks versions 1 and 2, not 3",
    );
    expect(refused(judgeOwn({ command: "ping", version: "2" }))).toStartWith("invalid: Invalid version");
    expect(refused(judgeOwn({ command: "fly" }))).toBe("unimplemented: Unknown command: fly");
    expect(refused(judgeShared({ version: 2, command: "ping", reply_to: "me" }))).toStartWith(
      "invalid: The shared inbox takes version 1 only",
    );
  });

  test("answers a bad field at reply_to, or beside the shared inbox when reply_to is bad itself", () => {
    const cases: [object, string, { replyTo: string }][] = [
      [{ command: "ping", ttl_ms: 0 }, "ttl_ms", { replyTo: "me" }],
      [{ command: "ping", ttl_ms: 86_400_001 }, "ttl_ms", { replyTo: "me" }],
      [{ command: "ping", agent: "../x" }, "agent", { replyTo: "me" }],
      [{ command: "ping", command_id: "a/b" }, "command_id", { replyTo: "me" }],
    ];
    for (const [fields, field, address] of cases) {
      const judged = judgeOwn(fields);
      expect(refused(judged)).toStartWith(`invalid: Invalid ${field}`);
      expect(judged.answerTo.address).toEqual(address);
    }
    for (const reply_to of ["../x", "a/b", "", 7, undefined]) {
      const judged = judgeOwn({ command: "ping", reply_to });
      expect(refused(judged)).toStartWith("invalid: Invalid reply_to");
      expect(judged.answerTo).toMatchObject({ address: "shared", ids: ["id-1"], version: 2 });
    }
  });
});

test("lateness() is null in time, and reports the ages afterwards", () => {
  const command = judgeOwn({ command: "ping" });
  if ("error" in command) throw command.error;
  const found = delivery({ agent: "gpu-1" }, {});
  expect(lateness(command, found, 999)).toBeNull();
  expect(lateness(command, found, 1500)?.message).toBe("The command is 2 s old and was valid for 1 s: it was not run");
});

describe("judge() on requested_by", () => {
  const ping = { command: "ping" };

  test("takes it as it is, and null when the command names nobody", () => {
    expect(judgeOwn({ ...ping, requested_by: "gpuctl:alice@laptop" })).toMatchObject({
      requestedBy: "gpuctl:alice@laptop",
    });
    for (const fields of [ping, { ...ping, requested_by: null }])
      expect(judgeOwn(fields)).toMatchObject({ requestedBy: null });
    expect(judgeShared({ command: "list_models", requested_by: "alice" })).toMatchObject({ requestedBy: null });
  });

  test("refuses what is no text, or longer than 64 characters", () => {
    for (const requested_by of [7, ["alice"], "x".repeat(65)]) {
      expect(refused(judgeOwn({ ...ping, requested_by }))).toStartWith("invalid: Invalid requested_by: ");
    }
    expect(refused(judgeOwn({ ...ping, requested_by: "x".repeat(64) }))).toBe("accepted");
  });
});
