// src/server/webhooks/watcher.ts: which changes of agents become events, also over restarts.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import type { State } from "#src/protocol.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { WebhookSite } from "./site.ts";

let site: WebhookSite;
let agent: ScriptedAgent;
beforeEach(async () => {
  site = new WebhookSite();
  agent = await ScriptedAgent.open(site.store, "gpu-1");
});
afterEach(async () => await site.close());

/** Publishes every 10 s, as an agent does at least. */
async function lives(seconds: number, change: Partial<State> = {}): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 10) {
    await agent.publish(change);
    await site.clock.advance(10_000);
  }
}

function types(): string[] {
  return site.received.map(({ event }) => event.type);
}

test("sends when an agent goes away, has a problem and is back, with the agent as the API shows it", async () => {
  await site.start();
  await lives(30);
  await site.clock.advance(60_000);
  await lives(30);
  await lives(30, { status: "degraded", degraded_reason: "two boxes have this name" });
  await lives(30);
  expect(types()).toEqual(["agent.away", "agent.back", "agent.degraded", "agent.back"]);
  expect(site.received.map(({ event }) => event.data)).toMatchObject([
    { agent: "gpu-1", status: "offline", reason: "silent" },
    { agent: "gpu-1", status: "online", reason: null },
    { agent: "gpu-1", status: "online", reason: "degraded", degraded_reason: "two boxes have this name" },
    { agent: "gpu-1", status: "online", reason: null },
  ]);
  expect(new Set(site.received.map(({ id }) => id)).size).toBe(4);
});

test("a restart of an agent, its first sight and an interruption of the share are no events", async () => {
  await site.start();
  await lives(20);
  await agent.publish({ status: "stopped" });
  await site.clock.advance(5_000);
  await lives(20, { status: "draining" });
  await ScriptedAgent.open(site.store, "gpu-2");
  await lives(10);
  site.store.interrupt(new CourierError("unavailable", "The share is gone"));
  await site.clock.advance(60_000);
  site.store.restore();
  await lives(40);
  // gpu-2 published once.
  expect(site.received.map(({ event }) => [event.type, "agent" in event.data && event.data.agent])).toEqual([
    ["agent.away", "gpu-2"],
  ]);
});

test("what changed while the server was down is one event, and nothing is sent twice", async () => {
  let life = await site.start();
  await lives(30);
  await life.stop();
  await agent.publish({ status: "stopped" });
  await site.clock.advance(60_000);
  life = await site.start();
  await site.clock.advance(30_000);
  await life.crash();
  life = await site.start();
  await site.clock.advance(30_000);
  expect(types()).toEqual(["agent.away"]);
  await life.stop();
  await lives(10);
  life = await site.start();
  await lives(30);
  expect(types()).toEqual(["agent.away", "agent.back"]);
});

test("an agent that is removed is forgotten, and a new one when it comes back", async () => {
  const life = await site.start();
  await lives(30);
  await agent.publish({ status: "stopped" });
  await site.clock.advance(30_000);
  site.store.removeState("gpu-1");
  await site.clock.advance(30_000);
  await lives(30);
  expect(types()).toEqual(["agent.away"]);
  await life.stop();
  site.store.removeState("gpu-1");
  await site.start();
  await lives(30);
  expect(types()).toEqual(["agent.away"]);
});

test("the events of an agent keep their order while the first one is refused", async () => {
  await site.start();
  await lives(30);
  let refused = 0;
  site.answer = ({ event }) => ({ status: event.type === "agent.away" && refused++ < 4 ? 500 : 204 });
  await agent.publish({ status: "stopped" });
  await site.clock.advance(20_000);
  await lives(150);
  expect(types()).toEqual(["agent.away", "agent.away", "agent.away", "agent.away", "agent.away", "agent.back"]);
  expect(new Set(site.idsOf("agent.away")).size).toBe(1);
});
