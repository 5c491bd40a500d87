// Documents that somebody forges under the name of a live agent, and a second agent that takes it: on the memory transport.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { noServiceManager } from "#src/program/service_manager.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { Transport } from "#src/transport.ts";
import { signDocument } from "#src/trust/signature.ts";
import { MemorySite } from "#tests/support/sites/agent_on_memory.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";
import { testKey } from "#tests/trust/test_key.ts";

let site: MemorySite;
beforeEach(async () => {
  site = new MemorySite();
  await site.listen({ replyTo: "tester" });
});
afterEach(async () => await site.close());

/** @param key null: it is not signed */
async function forge(agent: string, sequence: number, key: ReturnType<typeof testKey> | null): Promise<void> {
  const forged = { ...sampleDocument("v2/state.json"), agent, sequence, host: "nowhere" };
  const text = JSON.stringify(forged);
  await site.platform.publishState(agent, key === null ? text : signDocument("state", text, key));
}

async function answers(agent: string, id: string): Promise<boolean> {
  await site.command(agent, id, { command: "ping" });
  return site.replies.get(id)?.success === true;
}

test.each([
  ["that are not signed", null, false],
  ["that another key signed", testKey(9), false],
  ["on a transport with heartbeats", null, true],
])(
  "run() serves on for 60 s of forged states %s, and publishes its own again within a second",
  async (_, key, hasHeartbeats) => {
    const store = new MemoryStore(site.clock, hasHeartbeats);
    Object.assign(site, { store, platform: store.open() });
    await site.listen({ replyTo: "tester" });
    await site.start("gpu-1");
    await site.clock.advance(30_000);
    for (let second = 0; second < 60; second++) {
      await forge("gpu-1", 1000 + second, key);
      expect(await answers("gpu-1", `ping-${second}`)).toBe(true);
      await site.clock.advance(second === 0 ? 6000 : 1100);
      expect(await site.state("gpu-1")).toMatchObject({ host: "host-of-gpu-1", status: "running" });
    }
    await site.clock.advance(60_000);
    const { foreign_states, degraded_reason, serves_shared_inbox } = await site.state("gpu-1");
    expect([foreign_states, degraded_reason, serves_shared_inbox]).toEqual([60, null, true]);
  },
);

test("run() shows no foreign states while there were none", async () => {
  await site.start("gpu-1");
  await site.clock.advance(60_000);
  expect((await site.state("gpu-1")).foreign_states).toBeUndefined();
});

/** A handle whose calls fail while `isAway()`. */
function handle(isAway: () => boolean): Transport {
  return new Proxy(site.store.open(), {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      if (!["publishState", "renewState", "readState"].includes(String(name))) return member.bind(target);
      return async (...args: unknown[]): Promise<unknown> => {
        if (isAway()) throw new CourierError("unavailable", "The share stalled");
        return await Reflect.apply(member, target, args);
      };
    },
  });
}

test("run() waits for its name after an interruption in which a second agent took it, and disturbs nothing", async () => {
  let isAway = false;
  const statuses: string[] = [];
  const service = { ...noServiceManager, status: (text: string) => void statuses.push(text) };
  const transport = handle(() => isAway);
  await site.start("gpu-1", { instance: "one", sharedInbox: "off", transport, service });
  await site.clock.advance(30_000);
  isAway = true;
  await site.clock.advance(30_000);
  const second = await site.start("gpu-1", { instance: "two", sharedInbox: "off" });
  await site.clock.advance(30_000);
  isAway = false;
  for (let round = 0; round < 120; round++) {
    await site.clock.advance(500);
    expect(await site.state("gpu-1")).toMatchObject({ instance: "two", status: "running" });
  }
  expect(statuses.at(-1)).toContain('degraded: Another agent is called "gpu-1"');
  expect((await site.state("gpu-1")).foreign_states).toBeUndefined();
  second.stop.abort();
  await site.clock.advance(6_000);
  expect(await site.state("gpu-1")).toMatchObject({ instance: "one", status: "running", boot: 2 });
  expect(await answers("gpu-1", "ping")).toBe(true);
});

test("run() goes on at once after an interruption in which nobody took its name", async () => {
  let isAway = false;
  await site.start("gpu-1", { transport: handle(() => isAway) });
  await site.clock.advance(30_000);
  isAway = true;
  await site.clock.advance(60_000);
  isAway = false;
  await site.clock.advance(6_000);
  expect(await site.state("gpu-1")).toMatchObject({ status: "running", boot: 1 });
  expect((await site.platform.readState("gpu-1"))?.publishedAtMs).toBeGreaterThan(site.clock.now() - 6_000);
});

test("two agents with the same name that start at the same moment both stop: neither would have waited for the other", async () => {
  await site.start("gpu-1", { instance: "one" });
  const record = await site.platform.readState("gpu-1");
  site.store.states.delete("gpu-1");
  await site.start("gpu-1", { instance: "two" });
  await site.platform.publishState("gpu-1", record !== null && "text" in record.content ? record.content.text : "");
  await site.clock.advance(60_000);
  expect(await site.state("gpu-1")).toMatchObject({ status: "degraded" });
  expect(await answers("gpu-1", "ping")).toBe(false);
});
