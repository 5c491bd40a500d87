// Commands whose files have a time in the future, which anyone who can write to the share can set.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

let site: MemorySite;
let ollama: ScriptedOllama;
beforeEach(async () => {
  site = new MemorySite();
  ollama = new ScriptedOllama();
  await site.listen({ replyTo: "tester" });
  await site.listen("shared");
});
afterEach(async () => await site.close());

const OWN = { agent: "gpu-1" };
const LIST = { command: "list_models" };
const DELETE = { command: "delete_model", model_name: "phi4" };
const IN_2036_MS = Date.parse("2036-01-01");

/** Puts a command there with another time than now, and starts the agent. */
async function startWith(inbox: "shared" | typeof OWN, id: string, fields: object, atMs: number): Promise<void> {
  const key = inbox === "shared" ? inbox : `agent ${inbox.agent}`;
  site.store.inboxes.set(key, new Map([[id, { text: JSON.stringify(fields), atMs }]]));
  await site.start("gpu-1", { ollama, listTtlMs: 60_000, changeTtlMs: 600_000, sharedInbox: "on" });
  await settle();
}

async function startWithOwn(id: string, fields: object, atMs: number): Promise<void> {
  const common = { version: 2, command_id: id, agent: "gpu-1", reply_to: "tester", ttl_ms: 30_000, timestamp: "now" };
  await startWith(OWN, id, { ...common, ...fields }, atMs);
}

test.each([
  ["a list", LIST],
  ["a delete", DELETE],
])("%s of version 2 that is over a minute ahead is refused and removed", async (_, fields) => {
  await startWithOwn("id-1", fields, site.clock.now() + 60_001);
  const { code, error } = site.replies.get("id-1") ?? {};
  expect(code).toBe("invalid");
  expect(error).toBe("The time of the command's file is 60 s ahead of the share's clock: it was not run");
  expect(site.lying(OWN)).toEqual([]);
  expect(ollama.calls).toEqual([]);
});

test("a delete of version 2 in the future is removed before it is answered", async () => {
  const lying: string[][] = [];
  const put = site.store.put.bind(site.store);
  site.store.put = (entries, id, text) => {
    if (id === "id-1") lying.push(site.lying(OWN));
    put(entries, id, text);
  };
  await startWithOwn("id-1", DELETE, IN_2036_MS);
  expect(lying).toEqual([[]]);
});

test("a command of version 2 that is a minute ahead runs: clocks are not exact", async () => {
  await startWithOwn("id-1", DELETE, site.clock.now() + 60_000);
  expect(site.replies.get("id-1")?.success).toBe(true);
});

test("a command of version 1 counts as sent when it was found", async () => {
  await startWith("shared", "delete_model_1", { ...DELETE, command_id: "delete_model_1" }, IN_2036_MS);
  expect(site.replies.get("delete_model_1")?.success).toBe(true);
  await site.clock.advance(5_000);
  expect(site.lying("shared")).toEqual([]);
});

test("a command of version 1 in the future that another agent has claimed ends when its time is over", async () => {
  site.store.claims.get = () => ({ text: "instance-of-gpu-2", atMs: 0 });
  await startWith("shared", "delete_model_1", { ...DELETE, command_id: "delete_model_1" }, IN_2036_MS);
  await site.clock.advance(590_000);
  expect(site.lying("shared")).toEqual(["delete_model_1"]);
  await site.clock.advance(20_000);
  expect(site.lying("shared")).toEqual([]);
  expect(site.replies.get("delete_model_1")?.success).toBe(false);
  expect(ollama.calls).toEqual([]);
});
