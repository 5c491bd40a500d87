// Which documents under an agent's name are fresh and signed, so that it waits for their agent after an interruption.
import { expect, test } from "bun:test";
import { NameWait } from "#src/agent/presence/name_wait.ts";
import { silentLog } from "#src/base/log.ts";
import { rawKey } from "#src/trust/keys.ts";
import { signDocument } from "#src/trust/signature.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";
import { testKey } from "#tests/trust/test_key.ts";

const ME = { agent: "gpu-1", instance: "mine", host: "here", startedAt: "2026-01-02T03:04:05.000Z" };
const [KEY, OTHER_KEY, WRONG_KEY] = [testKey(3), testKey(4), testKey(5)];

async function freshSigned(fields: object, key: typeof KEY | null, signer = key): Promise<string | null> {
  const clock = new ManualClock();
  const nowMs = Math.round(clock.now());
  const about = { agent: "gpu-1", status: "running", instance: "other", host: "there", published_at_ms: nowMs };
  const keyField = key === null ? {} : { key: rawKey(key) };
  const text = JSON.stringify({ ...sampleDocument("v2/state.json"), ...about, ...keyField, ...fields });
  const content = { text: signer === null ? text : signDocument("state", text, signer) };
  const wait = new NameWait({
    identity: ME,
    key: KEY,
    // Anybody may set the time of the file.
    transport: { now: () => clock.now(), readState: async (agent) => ({ agent, content, publishedAtMs: 0 }) },
    condition: { nameConflict: null },
    statusLine: { show: () => undefined },
    service: { ready: () => undefined, alive: () => undefined },
    clock,
    log: silentLog,
  });
  return (await wait.freshSigned(KEY))?.host ?? null;
}

test.each([
  ["that another key signs", {}, OTHER_KEY, OTHER_KEY, "there"],
  ["of a clone, which has this agent's key", {}, KEY, KEY, "there"],
  ["that is not signed", {}, null, null, null],
  ["with the key of one agent, and the signature of another", {}, OTHER_KEY, WRONG_KEY, null],
  ["that another key signed before", { published_at_ms: 1 }, OTHER_KEY, OTHER_KEY, null],
  ["that its own key signed before, at another start", { published_at_ms: 1 }, KEY, KEY, null],
  ["of its own", { instance: "mine" }, KEY, KEY, null],
  ["of an agent that stopped", { status: "stopped" }, OTHER_KEY, OTHER_KEY, null],
] as const)("freshSigned() judges a document %s", async (_, fields, key, signer, host) => {
  expect(await freshSigned(fields, key, signer)).toBe(host);
});
