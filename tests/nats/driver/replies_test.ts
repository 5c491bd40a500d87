// Responses on NATS: from another agent, and while their sender is away; and how long entries are kept.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { KEYS } from "#src/transport/nats/layout.ts";
import { AGENT, codeOf, DURABLE, NatsBed } from "#tests/support/nats/nats_bed.ts";
import { SkippingClock } from "#tests/support/nats/skipping_clock.ts";
import { until } from "#tests/support/until.ts";
import { HeardReplies } from "#tests/transport/conformance/heard.ts";

const INBOX = { agent: AGENT };
const ADDRESS = { replyTo: "ctl-1" };

let bed: NatsBed;
beforeEach(async () => {
  bed = await NatsBed.start();
});
afterEach(async () => await bed.close());

test("a response from an agent that the command was not sent to does not count", async () => {
  const [agent, other, sender] = [await bed.agent(), await bed.agent({}, "gpu-2"), await bed.open()];
  const heard = await HeardReplies.at(sender, ADDRESS);
  await sender.send(INBOX, "a", "{}", DURABLE);
  await other.respond(ADDRESS, "a", '{"from":"gpu-2"}', DURABLE);
  await agent.respond(ADDRESS, "a", '{"from":"gpu-1"}', DURABLE);
  await until(() => heard.replies.length > 0);
  expect(heard.replies).toEqual([{ id: "a", content: { text: '{"from":"gpu-1"}' } }]);
});

test("a response that arrived while its sender was away is delivered once it is back, and only once", async () => {
  const agent = await bed.agent();
  const line = await bed.line();
  const sender = await bed.open({ url: line.url });
  const heard = await HeardReplies.at(sender, ADDRESS);
  for (const id of ["a", "b"]) await sender.send(INBOX, id, "{}", DURABLE);
  await agent.respond(ADDRESS, "a", "{}", DURABLE);
  await until(() => heard.ids.length === 1);
  line.cut();
  line.sever();
  await until(async () => (await codeOf(sender.readRoster())) === "unavailable");
  expect(await agent.respond(ADDRESS, "b", "{}", DURABLE)).toBe(true);
  line.restore();
  await until(() => heard.ids.length === 2);
  await until(async () => (await codeOf(sender.readRoster())) === "done");
  expect(heard.ids).toEqual(["a", "b"]);
});

test("a response is delivered when nats-server was killed between the command and its response", async () => {
  const [agent, sender] = [await bed.agent(), await bed.open()];
  const heard = await HeardReplies.at(sender, ADDRESS);
  await sender.send(INBOX, "a", "{}", DURABLE);
  await bed.server.restart();
  // The address is still in use, as it was before.
  await until(async () => (await codeOf(agent.readRoster())) === "done");
  expect(await agent.respond(ADDRESS, "a", "{}", DURABLE)).toBe(true);
  await until(() => heard.ids.length === 1);
});

test("openReplies() that fails leaves nothing behind that accepts responses later", async () => {
  const [agent, line] = [await bed.agent(), await bed.line()];
  const sender = await bed.open({ url: line.url });
  line.cut();
  const failed: string[] = [];
  const opening = codeOf(
    sender.openReplies(
      ADDRESS,
      () => true,
      ({ id }) => failed.push(id) > 0,
    ),
  );
  await Bun.sleep(50);
  line.sever();
  expect(await opening).toBe("unavailable");
  line.restore();
  await until(async () => (await codeOf(sender.readRoster())) === "done");
  const heard = await HeardReplies.at(sender, ADDRESS);
  await agent.respond(ADDRESS, "a", "{}", DURABLE);
  await until(() => heard.ids.length === 1);
  expect(failed).toEqual([]);
});

test("responses, addresses, presence and samples of the clock expire by themselves", async () => {
  const clock = new SkippingClock();
  const [agent, sender] = [await bed.agent({ clock }), await bed.open()];
  await HeardReplies.at(sender, ADDRESS);
  await agent.respond(ADDRESS, "a", "{}", DURABLE);
  await agent.publishState(AGENT, "{}");
  clock.skip(10_000);
  await agent.renewState(AGENT, 1, "{}");
  const ttlOf = async (...at: Parameters<NatsBed["stored"]>): Promise<string | undefined> =>
    (await bed.stored(...at))?.headers.match(/Nats-TTL: (\S+)/)?.[1];
  expect({
    response: await ttlOf("responses", KEYS.response(ADDRESS.replyTo, AGENT, "a")),
    address: await ttlOf("responses", KEYS.sender(ADDRESS.replyTo)),
    presence: await ttlOf("presence", KEYS.agent(AGENT)),
    clock: await ttlOf("states", KEYS.clock(AGENT)),
    state: await ttlOf("states", KEYS.state(AGENT)),
    inbox: await ttlOf("commands", KEYS.inbox(AGENT)),
  }).toEqual({
    response: "3600s",
    address: "7200s",
    presence: "60s",
    clock: "60s",
    state: undefined,
    inbox: undefined,
  });
});
