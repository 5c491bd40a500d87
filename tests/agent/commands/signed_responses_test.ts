// The signatures under responses: which have one, and which command each answers.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { fieldOf, parseJson } from "#src/base/foreign_text.ts";
import type { ReplyAddress } from "#src/transport.ts";
import { verifyDocument } from "#src/trust/signature.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite } from "#tests/support/sites/agent_on_memory.ts";
import { testKey } from "#tests/trust/test_key.ts";

const KEY = testKey(3);
const own = { agent: "gpu-1" };
const tester: ReplyAddress = { replyTo: "tester" };

let site: MemorySite;
/** The texts that were published under an id, the last one last. */
let texts: Map<string, string[]>;
beforeEach(async () => {
  site = new MemorySite();
  texts = new Map();
  await site.platform.connect();
  for (const address of ["shared", tester] as const)
    await site.platform.openReplies(
      address,
      () => true,
      ({ id, content }) => {
        if ("text" in content) texts.set(id, [...(texts.get(id) ?? []), content.text]);
        return true;
      },
    );
});
afterEach(async () => await site.close());

/** Puts these bytes into the agent's inbox. @returns the response to them */
async function answerTo(id: string, command: string): Promise<string> {
  await site.platform.send(own, id, command, { durable: false });
  await settle();
  return texts.get(id)?.at(-1) ?? expect.unreachable();
}

function commandText(id: string, fields: object): string {
  const common = { version: 2, command_id: id, agent: "gpu-1", reply_to: "tester", ttl_ms: 30_000 };
  return JSON.stringify({ ...common, timestamp: "2026-01-02T03:04:05Z", ...fields });
}

function requestOf(response: string): unknown {
  return fieldOf(parseJson(response), "request");
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

test.each([
  ["of a reading verb", commandText("id-1", { command: "ping" })],
  ["of a changing verb", commandText("id-1", { command: "delete_model", model_name: "phi4" })],
  ["of a verb that fails", commandText("id-1", { command: "show_model", model_name: "none" })],
  ["to a refused command", commandText("id-1", { command: "reboot" })],
  [
    "to a command with spaces, and characters of several bytes",
    ` ${commandText("id-1", { command: "ping", x: "Zoë" })}\n`,
  ],
  ["to a command that names no sender", commandText("id-1", { command: "ping", reply_to: "../x" })],
  ["to a command that names no version", '{"command": "ping"}'],
])("a response %s is signed, and names the bytes of its command", async (_, command) => {
  await site.start("gpu-1", { key: KEY });
  const response = await answerTo("id-1", command);
  expect(verifyDocument("response", response, KEY)).toBe("signed");
  expect(requestOf(response)).toBe(sha256(command));
});

test("a recorded response is published again byte for byte, also after a restart", async () => {
  const dir = site.stateDir();
  const command = commandText("id-1", { command: "delete_model", model_name: "phi4" });
  const first = await site.start("gpu-1", { key: KEY, dir });
  const response = await answerTo("id-1", command);
  await site.clock.advance(10);
  expect(await answerTo("id-1", command)).toBe(response);
  await site.kill(first);
  await site.start("gpu-1", { key: KEY, dir });
  await site.clock.advance(20);
  expect(await answerTo("id-1", command)).toBe(response);
  expect(texts.get("id-1")).toHaveLength(3);
});

test("an agent without a key answers unsigned", async () => {
  await site.start("gpu-1", { key: null });
  const command = commandText("id-1", { command: "ping" });
  const response = await answerTo("id-1", command);
  expect(verifyDocument("response", response, KEY)).toBe("unsigned");
  expect(requestOf(response)).toBe(sha256(command));
});

test.each([
  ["list_models", {}, ["success", "models", "timestamp"]],
  ["pull_model", { model_name: "gemma3" }, ["success", "message", "timestamp"]],
  ["reboot", {}, ["success", "error", "timestamp"]],
])(
  "a response of version 1 to %s has the fields that legacy backends know, and no more",
  async (command, rest, names) => {
    await site.start("gpu-1", { key: KEY });
    await site.clock.advance(5000);
    await site.send("shared", "v1", { command, command_id: "v1", ...rest });
    const response = parseJson(texts.get("v1")?.at(-1) ?? "");
    expect(Object.keys(response ?? {})).toEqual(names);
  },
);
