// src/server/webhooks/watcher.ts: changes of agents where several servers share a queue, of which one sends.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import type { SharedChange, SharedQueue } from "#src/server/webhooks/queue/shared_queue.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { WebhookSite } from "./site.ts";

/** The part of the other servers. */
class Others implements SharedQueue {
  sends = false;
  isAway = false;
  readonly reported: SharedChange[] = [];
  #taken: (changed: ReadonlyMap<string, string>) => void = () => undefined;

  async whileSending(): Promise<void> {}

  wake(): void {}

  startOf(): null {
    return null;
  }

  doneUpTo(): number {
    return 0;
  }

  async report(change: SharedChange): Promise<void> {
    if (this.isAway) throw new CourierError("unavailable", "NATS is away");
    this.reported.push(change);
    this.change(change.agent, change.condition);
  }

  listen(taken: (changed: ReadonlyMap<string, string>) => void): void {
    this.#taken = taken;
  }

  /** As it comes from NATS. */
  change(agent: string, condition: string): void {
    this.#taken(new Map([[agent, condition]]));
  }
}

let site: WebhookSite;
let others: Others;
let agent: ScriptedAgent;
beforeEach(async () => {
  site = new WebhookSite();
  others = new Others();
  agent = await ScriptedAgent.open(site.store, "gpu-1");
  await site.start({ shared: others });
  for (let passed = 0; passed < 3; passed++) {
    await agent.publish();
    await site.clock.advance(10_000);
  }
});
afterEach(async () => await site.close());

function conditions(): string[] {
  return others.reported.map(({ condition, event }) => `${condition} ${event.type}`);
}

test("a server reports no change while another one sends, and reports it when it becomes the one that does", async () => {
  await site.clock.advance(60_000);
  expect(conditions()).toEqual([]);
  others.sends = true;
  await site.clock.advance(20_000);
  expect(conditions()).toEqual(["away agent.away"]);
  await site.clock.advance(60_000);
  expect(others.reported).toHaveLength(1);
});

test("a change that another server has reported is not reported again", async () => {
  await site.clock.advance(60_000);
  others.change("gpu-1", "away");
  others.sends = true;
  await site.clock.advance(60_000);
  expect(conditions()).toEqual([]);
});

test("a change that cannot be reported now is reported later, once", async () => {
  others.sends = true;
  others.isAway = true;
  await site.clock.advance(60_000);
  others.isAway = false;
  await site.clock.advance(30_000);
  expect(conditions()).toEqual(["away agent.away"]);
});
