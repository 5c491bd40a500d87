// What NATS lacks or refuses: what callers hear, and what comes back by itself.
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { asCourierError, type CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { NatsTransport, type NatsTransportOptions } from "#src/transport/nats/driver.ts";
import { KEYS } from "#src/transport/nats/layout.ts";
import { parseNatsAddress } from "#src/transport/nats/options.ts";
import { TlsServers } from "#tests/agent/pulls/tls_servers.ts";
import { AGENT, codeOf, DURABLE, NatsBed } from "#tests/support/nats/nats_bed.ts";
import type { NatsServerOptions } from "#tests/support/nats/nats_server.ts";
import { SkippingClock } from "#tests/support/nats/skipping_clock.ts";
import { until } from "#tests/support/until.ts";
import { Heard } from "#tests/transport/conformance/heard.ts";

const INBOX = { agent: AGENT };
const HOUR_MS = 3_600_000;

const beds: NatsBed[] = [];
afterEach(async () => {
  for (const bed of beds.splice(0)) await bed.close();
});

async function startBed(options?: NatsServerOptions): Promise<NatsBed> {
  const bed = await NatsBed.start(options);
  beds.push(bed);
  return bed;
}

/** Why this handle cannot connect. */
async function whyNot(url: string, options: Partial<NatsTransportOptions> = {}): Promise<CourierError> {
  const handle = new NatsTransport(parseNatsAddress(url), { clock: systemClock, log: silentLog, ...options });
  const failure = await handle.connect().then(() => null, asCourierError);
  await handle.close();
  if (failure === null) throw new Error("It connected");
  return failure;
}

test("a server that is full refuses commands as exhausted, never delivers them, and takes them again when it has room", async () => {
  const bed = await startBed();
  const agent = await bed.agent();
  const heard = await Heard.at(agent, INBOX);
  const sender = await bed.open();
  await sender.send(INBOX, "a", "{}", DURABLE);
  await bed.limit("commands", 100_000);
  const large = JSON.stringify({ text: "x".repeat(60_000) });
  const codes = [];
  for (const id of ["b", "c", "d"]) codes.push(await codeOf(sender.send(INBOX, id, large, DURABLE)));
  expect(codes).toEqual(["done", "exhausted", "exhausted"]);
  await until(() => heard.ids.length === 2);
  await bed.limit("commands", -1);
  expect(await codeOf(sender.send(INBOX, "e", large, DURABLE))).toBe("done");
  await until(() => heard.ids.length === 3);
  expect([heard.ids, heard.interruptions]).toEqual([["a", "b", "e"], []]);
});

test("connect() names the bucket that it cannot make when the server has no JetStream", async () => {
  const bed = await startBed({ config: "accounts { plain { users [{ user: u, password: p }] } }\nno_auth_user: u" });
  const failure = await whyNot(bed.server.url);
  expect([failure.code, failure.message]).toEqual(["unavailable", expect.stringContaining("no JetStream")]);
  expect(failure.hint).toContain("JetStream is on");
});

test("connect() reports credentials that the server refuses, and that it wants some", async () => {
  const bed = await startBed({ config: 'authorization { token: "secret" }' });
  const failure = await whyNot(bed.server.url);
  expect([failure.code, failure.hint]).toEqual(["unavailable", expect.stringContaining("--nats-creds")]);
});

test("connect() reports a certificate that it does not trust, and a server that speaks no TLS", async () => {
  const { pem } = new TlsServers();
  const dir = mkdtempSync(join(tmpdir(), "gpu-courier-nats-tls-"));
  try {
    const file = join(dir, "both.pem");
    writeFileSync(file, pem);
    const tls = await startBed({
      config: `tls { cert_file: ${JSON.stringify(file)}, key_file: ${JSON.stringify(file)} }`,
    });
    const url = `tls://127.0.0.1:${tls.server.port}`;
    expect((await whyNot(url)).message).toMatch(/certificate|CERT/i);
    const trusting = new NatsTransport(parseNatsAddress(url), { clock: systemClock, log: silentLog, caFile: file });
    await trusting.connect();
    await trusting.close();
    const plain = await startBed();
    expect((await whyNot(`tls://127.0.0.1:${plain.server.port}`)).code).toBe("unavailable");
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("an agent shows that it is there with its next sign of life after a restart took the bucket for presence away", async () => {
  const [bed, clock] = [await startBed(), new SkippingClock()];
  const agent = await bed.agent({ clock });
  const reader = await bed.open();
  await agent.publishState(AGENT, "{}");
  clock.skip(10_000);
  await agent.renewState(AGENT, 1, "{}");
  expect(await bed.stored("presence", KEYS.agent(AGENT))).not.toBeNull();
  await bed.server.restart();
  await until(async () => (await codeOf(agent.readRoster())) === "done");
  await until(async () => (await codeOf(reader.readRoster())) === "done");
  // Only its last sign of life is gone.
  expect((await reader.readState(AGENT))?.content).toEqual({ text: "{}" });
  await until(async () => {
    clock.skip(10_000);
    await agent.renewState(AGENT, 1, "{}");
    return (await bed.stored("presence", KEYS.agent(AGENT))) !== null;
  });
});

test("now() is the server's time also after this machine was suspended", async () => {
  const bed = await startBed();
  let suspendedMs = 0;
  const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() - suspendedMs };
  const handle = await bed.open({ clock });
  expect(Math.abs(handle.now() - Date.now())).toBeLessThan(1_000);
  suspendedMs = HOUR_MS;
  await until(() => Math.abs(handle.now() - Date.now()) < 1_000, 5_000);
});

test("two handles have the same time although their machines' clocks differ", async () => {
  const bed = await startBed();
  const ahead: Clock = { ...systemClock, now: () => systemClock.now() + HOUR_MS };
  const [one, other] = [await bed.open(), await bed.open({ clock: ahead })];
  expect(Math.abs(one.now() - other.now())).toBeLessThan(1_000);
});
