// Commands on NATS when the connection is lost at the worst moment, when the list of those that wait is full, and when many write it.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { KEYS } from "#src/transport/nats/layout.ts";
import { MOST_WAITING } from "#src/transport/nats/messages/waiting.ts";
import { AGENT, codeOf, DURABLE, NatsBed } from "#tests/support/nats/nats_bed.ts";
import { until } from "#tests/support/until.ts";
import { Heard } from "#tests/transport/conformance/heard.ts";

const INBOX = { agent: AGENT };
const HOUR_MS = 3_600_000;

let bed: NatsBed;
beforeEach(async () => {
  bed = await NatsBed.start();
});
afterEach(async () => await bed.close());

/** The list of those that wait, as it is stored. */
async function listed(): Promise<readonly string[]> {
  const stored = await bed.stored("commands", KEYS.inbox(AGENT));
  const list: readonly { readonly id: string }[] = JSON.parse(stored?.text ?? "[]");
  return list.map(({ id }) => id);
}

/** Entries of commands that were never stored, or are gone. */
function gone(count: number): readonly object[] {
  const now = Date.now();
  return Array.from({ length: count }, (_, at) => ({
    id: `gone-${at}`,
    sequence: 1_000_000 + at,
    at: now - HOUR_MS,
    until: now + HOUR_MS,
  }));
}

test("send() throws unavailable when the command may be stored and is not listed, and the command never arrives", async () => {
  const agent = await bed.agent();
  const heard = await Heard.at(agent, INBOX);
  const line = await bed.line();
  const sender = await bed.open({ url: line.url });
  await sender.send(INBOX, "a", "{}", DURABLE);
  const cut = line.cutAt(`${KEYS.command(AGENT, "b")} `, "after");
  const sent = codeOf(sender.send(INBOX, "b", "{}", DURABLE));
  await cut;
  line.sever();
  expect(await sent).toBe("unavailable");
  line.restore();
  // The server has it, and nobody else ever learns of it.
  await until(async () => (await bed.stored("commands", KEYS.command(AGENT, "b"))) !== null);
  await until(async () => (await codeOf(sender.send(INBOX, "c", "{}", DURABLE))) === "done");
  await until(() => heard.ids.includes("c"));
  const again = await Heard.at(await bed.agent(), INBOX);
  await until(() => again.completions.length === 1);
  expect([heard.ids, again.ids]).toEqual([
    ["a", "c"],
    ["a", "c"],
  ]);
});

test("send() throws deadline_exceeded when the list may have the command, and withdraws it once it is connected again", async () => {
  const agent = await bed.agent();
  const line = await bed.line();
  const sender = await bed.open({ url: line.url });
  await sender.send(INBOX, "a", "{}", DURABLE);
  const cut = line.cutAt(`$KV.gpu_courier_commands.${AGENT} `, "after");
  const sent = codeOf(sender.send(INBOX, "b", "{}", DURABLE));
  await cut;
  line.sever();
  expect(await sent).toBe("deadline_exceeded");
  await until(async () => (await listed()).includes("b"));
  line.restore();
  await until(async () => (await bed.stored("commands", KEYS.command(AGENT, "b")))?.text === "");
  const heard = await Heard.at(agent, INBOX);
  await until(() => heard.completions.length === 1);
  expect(heard.ids).toEqual(["a"]);
});

test("a command is not delivered when nats-server was restarted between it and its place in the list", async () => {
  const agent = await bed.agent();
  const line = await bed.line();
  const sender = await bed.open({ url: line.url });
  await sender.send(INBOX, "a", "{}", DURABLE);
  const cut = line.cutAt(`$KV.gpu_courier_commands.${AGENT} `, "before");
  const sent = codeOf(sender.send(INBOX, "b", "{}", DURABLE));
  await cut;
  await bed.server.restart();
  line.sever();
  expect(await sent).toBe("deadline_exceeded");
  line.restore();
  await until(async () => (await codeOf(agent.readRoster())) === "done");
  const heard = await Heard.at(agent, INBOX);
  await until(async () => (await bed.stored("commands", KEYS.command(AGENT, "b")))?.text === "");
  await until(() => heard.completions.length === 1);
  expect([heard.ids, await listed()]).toEqual([["a"], ["a"]]);
});

test(`send() throws exhausted when ${MOST_WAITING} wait, and the command is not delivered`, async () => {
  const agent = await bed.agent();
  const heard = await Heard.at(agent, INBOX);
  await until(() => heard.completions.length === 1);
  await bed.write("commands", KEYS.inbox(AGENT), JSON.stringify(gone(MOST_WAITING)));
  const sender = await bed.open();
  expect(await codeOf(sender.send(INBOX, "a", "{}", DURABLE))).toBe("exhausted");
  await until(async () => (await bed.stored("commands", KEYS.command(AGENT, "a")))?.text === "");
  expect(heard.ids).toEqual([]);
});

test("an agent that listens makes room in a list that is full of what is gone", async () => {
  await bed.agent();
  await bed.write("commands", KEYS.inbox(AGENT), JSON.stringify(gone(MOST_WAITING)));
  const heard = await Heard.at(await bed.agent(), INBOX);
  const sender = await bed.open();
  await until(async () => (await codeOf(sender.send(INBOX, "a", "{}", DURABLE))) === "done");
  await until(() => heard.ids.includes("a"));
});

test("an agent shortens its list while senders go on adding to it, and loses none of theirs", async () => {
  const agent = await bed.agent();
  await bed.write("commands", KEYS.inbox(AGENT), JSON.stringify(gone(300)));
  const over = new AbortController();
  const sender = await bed.open();
  const sent: string[] = [];
  const sending = (async () => {
    for (let number = 0; !over.signal.aborted; number++) {
      await sender.send(INBOX, `command-${number}`, "{}", DURABLE);
      sent.push(`command-${number}`);
    }
  })();
  const heard = await Heard.at(agent, INBOX);
  try {
    await until(async () => !(await listed()).some((id) => id.startsWith("gone-")), 10_000);
  } finally {
    over.abort();
    await sending;
  }
  await until(() => heard.ids.length === sent.length);
  expect(heard.ids.toSorted()).toEqual(sent.toSorted());
});

test("commands that twenty handles send at once to one agent are all listed, and delivered once each", async () => {
  await bed.agent();
  const senders = await Promise.all(Array.from({ length: 20 }, async () => await bed.open()));
  const ids = senders.flatMap((_, sender) => Array.from({ length: 10 }, (_each, at) => `s${sender}-${at}`));
  await Promise.all(
    ids.map(async (id, at) => await senders[at % senders.length]?.send(INBOX, id, JSON.stringify({ id }), DURABLE)),
  );
  expect((await listed()).toSorted()).toEqual(ids.toSorted());
  const heard = await Heard.at(await bed.agent(), INBOX);
  await until(() => heard.completions.length === 1);
  expect(heard.ids.toSorted()).toEqual(ids.toSorted());
});

test("a list that somebody wrote wrongly is read as far as it can be, and holds up nobody", async () => {
  await bed.agent();
  const [broken, sender] = [await bed.open(), await bed.open()];
  await broken.send(INBOX, "a", "{}", DURABLE);
  const stored = await bed.stored("commands", KEYS.inbox(AGENT));
  const known: readonly object[] = JSON.parse(stored?.text ?? "[]");
  const never = { id: "never", sequence: 1, at: 9e15, until: 9e15 };
  const wrong = [1, null, "x", { id: "../b" }, { id: "c", sequence: -1 }, never, ...known];
  await bed.write("commands", KEYS.inbox(AGENT), JSON.stringify(wrong));
  await sender.send(INBOX, "b", "{}", DURABLE);
  expect(await listed()).toEqual(["a", "b"]);
  for (const text of ["", "{", "5", '"a"', "x".repeat(2_000_000)]) {
    await bed.write("commands", KEYS.inbox(AGENT), text);
    await sender.send(INBOX, "d", "{}", DURABLE);
    expect(await listed()).toEqual(["d"]);
  }
  const heard = await Heard.at(await bed.agent(), INBOX);
  await until(() => heard.ids.includes("d"));
});

test("an entry that nobody tidies leaves the list when its time is over", async () => {
  await bed.agent();
  const sender = await bed.open();
  const now = Date.now();
  const over = { id: "over", sequence: 1, at: now - 2 * HOUR_MS, until: now - 1 };
  await bed.write("commands", KEYS.inbox(AGENT), JSON.stringify([over]));
  await sender.send(INBOX, "a", "{}", DURABLE);
  expect(await listed()).toEqual(["a"]);
});

test("a command is kept for an hour longer than it is valid", async () => {
  await bed.agent();
  const sender = await bed.open();
  await sender.send(INBOX, "a", '{"ttl_ms":60000}', DURABLE);
  await sender.send(INBOX, "b", "anything", DURABLE);
  expect((await bed.stored("commands", KEYS.command(AGENT, "a")))?.headers).toContain("Nats-TTL: 3660s");
  expect((await bed.stored("commands", KEYS.command(AGENT, "b")))?.headers).toContain("Nats-TTL: 90000s");
});

test("withdraw() withdraws what another handle sent again under the same id", async () => {
  await bed.agent();
  const [first, second] = [await bed.open(), await bed.open()];
  await first.send(INBOX, "a", "{}", DURABLE);
  await second.send(INBOX, "a", '{"n":2}', DURABLE);
  expect([await first.withdraw(INBOX, "a"), await second.withdraw(INBOX, "a")]).toEqual([true, false]);
});
