// How an agent hears of its commands on NATS when it is not woken, woken for nothing, woken at the wrong moment, or away.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { KEYS } from "#src/transport/nats/layout.ts";
import { hurriedClock } from "#tests/support/clocks/hurried_clock.ts";
import { AGENT, codeOf, DURABLE, NatsBed, textOf } from "#tests/support/nats/nats_bed.ts";
import { until } from "#tests/support/until.ts";
import { Heard } from "#tests/transport/conformance/heard.ts";

const INBOX = { agent: AGENT };

let bed: NatsBed;
beforeEach(async () => {
  bed = await NatsBed.start();
});
afterEach(async () => await bed.close());

/** Stores a command and lists it, as a sender does that dies before it wakes the agent. */
async function sendSilently(id: string): Promise<void> {
  const sequence = await bed.write("commands", KEYS.command(AGENT, id), "{}");
  const now = Date.now();
  const list = [{ id, sequence, at: now, until: now + 60_000 }];
  await bed.write("commands", KEYS.inbox(AGENT), JSON.stringify(list));
}

async function wake(id: string): Promise<void> {
  (await bed.raw()).publish(bed.layout.wake(AGENT), id);
}

test("a command is delivered by the next look, once, when the wake for it is lost", async () => {
  const heard = await Heard.at(await bed.agent({ clock: hurriedClock(50) }), INBOX);
  await until(() => heard.completions.length === 1);
  await sendSilently("a");
  await until(() => heard.ids.length > 0);
  await wake("a");
  const sender = await bed.open();
  await sender.send(INBOX, "b", "{}", DURABLE);
  await until(() => heard.ids.includes("b"));
  expect(heard.ids).toEqual(["a", "b"]);
});

test("wakes for ids that do not exist, or that cannot be ids, deliver nothing and interrupt nothing", async () => {
  const heard = await Heard.at(await bed.agent(), INBOX);
  for (const id of ["never", "", "../a", "*", ">", "x".repeat(5_000), "\u0000"]) await wake(id);
  const sender = await bed.open();
  await sender.send(INBOX, "a", "{}", DURABLE);
  await until(() => heard.ids.length > 0);
  expect([heard.ids, heard.refused, heard.interruptions]).toEqual([["a"], [], []]);
});

test("a command is delivered within two seconds while somebody wakes the agent for nothing all the time", async () => {
  const heard = await Heard.at(await bed.agent(), INBOX);
  const [raw, sender] = [await bed.raw(), await bed.open()];
  const over = new AbortController();
  let forged = 0;
  const forging = (async () => {
    while (!over.signal.aborted) {
      for (let each = 0; each < 200; each++) raw.publish(bed.layout.wake(AGENT), `forged-${forged++}`);
      await raw.flush();
    }
  })();
  try {
    await until(() => forged > 10_000);
    for (const id of ["a", "b", "c"]) {
      await sender.send(INBOX, id, "{}", DURABLE);
      await until(() => heard.ids.includes(id), 2_000);
    }
  } finally {
    over.abort();
    await forging;
  }
  expect(heard.ids).toEqual(["a", "b", "c"]);
});

test("a command is delivered at once when the agent was reading its list while it was sent", async () => {
  const line = await bed.line();
  const heard = await Heard.at(await bed.agent({ url: line.url }), INBOX);
  const sender = await bed.open();
  await until(() => heard.completions.length === 1);
  // It reads the list when it is woken for what is no id; the answer is on its way, without the command.
  const cut = line.cutAt(bed.layout.getSubject("commands", KEYS.inbox(AGENT)), "after");
  await wake("../");
  await cut;
  await (await bed.raw()).flush();
  await sender.send(INBOX, "a", "{}", DURABLE);
  line.restore();
  await until(() => heard.ids.includes("a"), 5_000);
});

test("a command that was sent while the agent was away is delivered when it is back, the last one under its id", async () => {
  const line = await bed.line();
  const heard = await Heard.at(await bed.agent({ url: line.url }), INBOX);
  const sender = await bed.open();
  await sender.send(INBOX, "a", '{"n":1}', DURABLE);
  await until(() => heard.ids.length === 1);
  line.cut();
  line.sever();
  await until(() => heard.interruptions.length === 1);
  await sender.send(INBOX, "a", '{"n":2}', DURABLE);
  await sender.send(INBOX, "b", '{"n":3}', DURABLE);
  await sender.send(INBOX, "b", '{"n":4}', DURABLE);
  await sender.send(INBOX, "c", '{"n":5}', DURABLE);
  await sender.withdraw(INBOX, "c");
  line.restore();
  await until(() => heard.restored === 1);
  expect(heard.deliveries.map(textOf)).toEqual(['{"n":1}', '{"n":2}', '{"n":4}']);
});

test("an agent that starts again is delivered what its process before left, and not what that released", async () => {
  const before = await bed.agent();
  const heard = await Heard.at(before, INBOX);
  const sender = await bed.open();
  for (const id of ["a", "b"]) await sender.send(INBOX, id, "{}", DURABLE);
  await until(() => heard.ids.length === 2);
  const [first] = heard.deliveries;
  if (first !== undefined) await before.release(first);
  await before.close();
  await bed.server.restart();
  const after = await Heard.at(await bed.agent(), INBOX);
  await until(() => after.completions.length === 1);
  expect(after.deliveries.map(({ key }) => key)).toEqual(heard.deliveries.slice(1).map(({ key }) => key));
});

test("commands that wait for room are delivered once each when the connection is lost among them", async () => {
  const line = await bed.line();
  const heard = await Heard.at(await bed.agent({ url: line.url }), INBOX, 0);
  const sender = await bed.open();
  for (const id of ["a", "b", "c"]) await sender.send(INBOX, id, "{}", DURABLE);
  await until(() => heard.waiting === 3);
  const cut = line.cutAt(bed.layout.getSubject("commands", KEYS.command(AGENT, "b")), "before");
  await cut;
  heard.most = 10;
  line.restore();
  const again = line.cutAt(bed.layout.getSubject("commands", KEYS.command(AGENT, "b")), "before");
  await again;
  line.sever();
  line.restore();
  await until(() => heard.ids.includes("c"));
  expect(heard.ids).toEqual(["a", "b", "c"]);
});

test("receive() that fails leaves nothing behind that delivers later", async () => {
  const line = await bed.line();
  const agent = await bed.agent({ url: line.url });
  line.cut();
  const failed: string[] = [];
  const receiving = codeOf(agent.receive(INBOX, { deliver: ({ id }) => void failed.push(id) }));
  await Bun.sleep(50);
  line.sever();
  expect(await receiving).toBe("unavailable");
  line.restore();
  await until(async () => (await codeOf(agent.readRoster())) === "done");
  const heard = await Heard.at(agent, INBOX);
  const sender = await bed.open();
  await sender.send(INBOX, "a", "{}", DURABLE);
  await until(() => heard.ids.length === 1);
  expect(failed).toEqual([]);
});
