// An agent and a server over NATS, each with its own credentials under the printed configuration.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { NatsTransport } from "#src/transport/nats/driver.ts";
import { parseNatsAddress } from "#src/transport/nats/options.ts";
import type { Delivery, Reply, Transport } from "#src/transport.ts";
import { failure } from "#tests/support/failure.ts";
import { NatsServer } from "#tests/support/nats/nats_server.ts";
import { until } from "#tests/support/until.ts";
import { FAST } from "#tests/transport/conformance/addresses.ts";
import { printed } from "./breakout/configurations.ts";
import type { Role } from "./breakout/site.ts";

const AGENT = "gpu-1";
const INBOX = { agent: AGENT };
const ADDRESS = { replyTo: "server-1" };

let server: NatsServer;
let dir: string;
let seeds: Readonly<Record<Role, Uint8Array>>;
const handles: Transport[] = [];

beforeEach(async () => {
  const { config, files, seeds: made } = printed();
  if (config === undefined || files === undefined || made === undefined) throw new Error("No configuration");
  server = await NatsServer.start({ config, files });
  seeds = made;
  dir = mkdtempSync(join(tmpdir(), "gpu-courier-nkeys-"));
});
afterEach(async () => {
  for (const handle of handles.splice(0)) await handle.close();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function connected(role: Role, identity?: string): Promise<Transport> {
  const credsFile = join(dir, `${role}.nk`);
  writeFileSync(credsFile, `${Buffer.from(seeds[role]).toString()}\n`, { mode: 0o600 });
  const options = { credsFile, identity, clock: systemClock, log: silentLog };
  const handle = new NatsTransport(parseNatsAddress(server.url), options);
  handles.push(handle);
  await handle.connect();
  return handle;
}

describe("an agent with its own credentials", () => {
  test("cannot connect before a server has made the buckets, and can afterwards", async () => {
    expect(await failure(connected("attacker", AGENT))).toMatchObject({ code: "unavailable" });
    await connected("server");
    await connected("attacker", AGENT);
  });

  test("receives a command, responds, and releases it; its state and heartbeats are seen", async () => {
    const platform = await connected("server");
    const agent = await connected("attacker", AGENT);
    await agent.openInbox(INBOX);
    const delivered: Delivery[] = [];
    await agent.receive(INBOX, { deliver: (delivery) => void delivered.push(delivery) });
    const replies: Reply[] = [];
    await platform.openReplies(
      ADDRESS,
      () => true,
      (reply) => {
        replies.push(reply);
        return true;
      },
    );
    await platform.send(INBOX, "id-1", "{}", FAST);
    await until(() => delivered.length === 1);
    expect(await agent.respond(ADDRESS, "id-1", "response", FAST)).toBe(true);
    expect(await agent.respond({ replyTo: "nobody" }, "id-1", "response", FAST)).toBe(false);
    await until(() => replies.length === 1);
    for (const delivery of delivered) expect(await agent.release(delivery)).toBe(true);
    expect(await platform.commandsIn(INBOX, () => true, 10)).toEqual([]);

    const [seen, alive]: [string[], number[]] = [[], []];
    await platform.watchStates({
      changed: (state) => void seen.push(state.agent),
      alive: (_, sequence) => void alive.push(sequence),
      removed: () => undefined,
      synced: () => undefined,
      interrupted: () => undefined,
      restored: () => undefined,
      away: () => undefined,
    });
    await agent.publishState(AGENT, "state");
    await until(() => seen.includes(AGENT));
    await agent.renewState(AGENT, 7, "state");
    await until(() => alive.includes(7));
    expect(await platform.readStates()).toMatchObject([{ agent: AGENT, content: { text: "state" } }]);
    expect(await agent.readState(AGENT)).toMatchObject({ agent: AGENT });
    expect(await agent.readRoster()).toBeNull();
  });

  test("commands that waited while it was away arrive when it is back, after a restart of the server too", async () => {
    const platform = await connected("server");
    await (await connected("attacker", AGENT)).openInbox(INBOX);
    await platform.send(INBOX, "id-1", "{}", FAST);
    await server.kill();
    await server.restart();
    const agent = await connected("attacker", AGENT);
    const delivered: string[] = [];
    await agent.receive(INBOX, { deliver: ({ id }) => void delivered.push(id) });
    await until(() => delivered.includes("id-1"));
  });

  test("cannot send to another agent, publish its state or read it", async () => {
    const platform = await connected("server");
    const other = await connected("victim", "gpu-2");
    await other.openInbox({ agent: "gpu-2" });
    await other.publishState("gpu-2", "theirs");
    const agent = await connected("attacker", AGENT);
    for (const attempt of [
      agent.send({ agent: "gpu-2" }, "id-1", "{}", FAST),
      agent.publishState("gpu-2", "forged"),
      agent.readState("gpu-2"),
      agent.readStates(),
    ])
      expect(await attempt.catch(String)).toContain("Cannot");
    expect(await platform.commandsIn({ agent: "gpu-2" }, () => true, 10)).toEqual([]);
    expect(await platform.readState("gpu-2")).toMatchObject({ content: { text: "theirs" } });
  });
});

describe("an operator with its own credentials", () => {
  test("sends commands, reads states and forgets an agent", async () => {
    await connected("server");
    const agent = await connected("attacker", AGENT);
    await agent.openInbox(INBOX);
    await agent.publishState(AGENT, "state");
    const operator = await connected("operator");
    await operator.send(INBOX, "id-1", "{}", FAST);
    const [state] = await operator.readStates();
    expect(await operator.forget(AGENT, state?.publishedAtMs ?? 0)).toEqual({ commands: 1 });
    expect(await operator.readStates()).toEqual([]);
  });
});
