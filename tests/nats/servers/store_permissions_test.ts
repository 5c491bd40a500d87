// What operators, who have credentials for the account of the platform on NATS, can do to the store that servers share.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { AuditLog } from "#src/server/audit/audit_log.ts";
import { openServerStore, storeDir } from "#src/server/store/shared/open.ts";
import { openStore } from "#src/server/store/store.ts";
import { NatsTransport } from "#src/transport/nats/driver.ts";
import { parseNatsAddress } from "#src/transport/nats/options.ts";
import { NatsServer } from "#tests/support/nats/nats_server.ts";
import { until } from "#tests/support/until.ts";
import { printed } from "../breakout/configurations.ts";
import { RawClient } from "../breakout/raw_client.ts";
import type { Role } from "../breakout/site.ts";

const KEY = "token.Zm9yZ2Vk";
const TARGET = `$KV.gpu_courier_server.${KEY}`;
const RECORD = JSON.stringify({
  name: "forged",
  role: "gp",
  hash: "0".repeat(64),
  created_at: "2026-01-01T00:00:00.000Z",
  expires_at_ms: null,
  agents: null,
  verbs: null,
  charged: null,
  created_by: null,
});
const STATES = "KV_gpu_courier_states";
const OWN = "$KV.gpu_courier_states.forged";

type Attack = readonly [name: string, run: (operator: RawClient) => void];

function asks(subject: string, payload: object | string, reply = "_INBOX.own"): (operator: RawClient) => void {
  const text = typeof payload === "string" ? payload : JSON.stringify(payload);
  return (operator) => operator.publish(subject, { payload: text, reply });
}

/** Each writes a token that nobody added. */
const ATTACKS: readonly Attack[] = [
  ["puts the record", asks(TARGET, RECORD)],
  [
    "has the answer to a direct get of its own entry sent there",
    (operator) => {
      operator.publish(OWN, { payload: RECORD, reply: "_INBOX.own" });
      operator.publish(`$JS.API.DIRECT.GET.${STATES}.${OWN}`, { reply: TARGET });
    },
  ],
  [
    "makes a stream that publishes again what it takes",
    (operator) => {
      const republish = { src: "forge.>", dest: `$KV.gpu_courier_server.>` };
      asks("$JS.API.STREAM.CREATE.forge", { name: "forge", subjects: ["forge.>"], republish })(operator);
      operator.publish(`forge.${KEY}`, { payload: RECORD, reply: "_INBOX.own" });
    },
  ],
];

const dir = mkdtempSync(join(tmpdir(), "gpu-courier-store-permissions-"));
let nats: NatsServer;
let files: Readonly<Record<Role, string>>;
let operator: RawClient;
let platform: RawClient;
let stateDir = "";

beforeAll(async () => {
  const { config, files: included, seeds } = printed();
  if (config === undefined || included === undefined || seeds === undefined) throw new Error("No configuration");
  nats = await NatsServer.start({ config, files: included });
  const written = Object.entries(seeds).map(([role, seed]) => {
    const path = join(dir, `${role}.nk`);
    writeFileSync(path, Buffer.from(seed).toString(), { mode: 0o600 });
    return [role, path];
  });
  files = Object.fromEntries(written);
  // A server makes the buckets of the transport.
  const address = parseNatsAddress(nats.url);
  const transport = new NatsTransport(address, { credsFile: files.server, clock: systemClock, log: silentLog });
  await transport.connect();
  await transport.close();
  operator = await RawClient.connect(nats.port, seeds.operator);
  platform = await RawClient.connect(nats.port, seeds.server);
});
afterAll(async () => {
  operator.close();
  platform.close();
  await nats.stop();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(async () => {
  stateDir = mkdtempSync(join(dir, "state-"));
  // What an attack before has left.
  for (const call of ["STREAM.DELETE.forge", "STREAM.PURGE.KV_gpu_courier_server"])
    asks(`$JS.API.${call}`, "")(platform);
  await platform.flush();
});
const closes: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closes.splice(0)) await close();
});

function placeWith(role: Role | undefined) {
  const storeCreds = role === undefined ? undefined : files[role];
  return { kind: "nats", stateDir, addresses: [nats.url], nats: { credsFile: files.server }, storeCreds } as const;
}

/** A server whose store has these credentials. */
async function server(role: Role) {
  const stop = new AbortController();
  const { shared, close } = await openServerStore(placeWith(role), { transports: [systemClock], log: silentLog });
  if (shared === null) throw new Error("It is on NATS");
  const running = shared.run(stop.signal);
  closes.push(async () => {
    stop.abort();
    await running;
    await close();
  });
  return shared;
}

/** What an attack makes first may not be there yet when it goes on. */
async function repeat(attack: Attack[1]): Promise<void> {
  attack(operator);
  await operator.flush();
  await Bun.sleep(20);
}

describe("with the account of the store", () => {
  test.each([...ATTACKS])("an operator adds no token when it %s", async (_, attack) => {
    const { tokens, activeModels } = await server("store");
    for (let round = 0; round < 3; round++) await repeat(attack);
    // Comes later than anything that was on its way.
    await activeModels.set("text", "phi4:latest");
    expect(tokens.list()).toEqual([]);
  });

  test("an operator reads no hashes of tokens, and writes neither ends of jobs nor the audit", async () => {
    const shared = await server("store");
    await shared.tokens.add("platform", "gp");
    const hash = shared.tokens.hashNamed("platform").toHex();
    operator.subscribe("_INBOX.own");
    const key = `token.${Buffer.from("platform").toString("base64url")}`;
    asks(`$JS.API.DIRECT.GET.KV_gpu_courier_server.$KV.gpu_courier_server.${key}`, "")(operator);
    asks("$JS.API.STREAM.MSG.GET.KV_gpu_courier_server", { seq: 1 })(operator);
    asks("gpu_courier.ends.gpu-1.forged", "{}")(operator);
    asks("gpu_courier.audit.forged", "{}")(operator);
    asks("$JS.API.STREAM.PURGE.KV_gpu_courier_server", {})(operator);
    await operator.flush();
    await shared.activeModels.set("text", "phi4:latest");
    expect(operator.received).not.toContain(hash);
    expect([shared.ends.last, shared.tokens.list().map(({ name }) => name)]).toEqual([0, ["platform"]]);
    const database = openStore(storeDir(placeWith("store")));
    expect(new AuditLog(database, systemClock).read({}, { limit: 10 })).toEqual([]);
    database.close();
    await shared.tokens.revoke("platform");
  });

  test("gpu-server refuses --store nats with the credentials of the transport alone", async () => {
    const opened = openServerStore(placeWith(undefined), { transports: [systemClock], log: silentLog });
    expect(await opened.catch((error: unknown) => error)).toMatchObject({
      code: "invalid",
      message: "--store nats needs --nats-store-creds beside --nats-creds",
    });
  });
});

describe("with the store in the account of the operators", () => {
  test.each([...ATTACKS])("an operator becomes an administrator when it %s", async (_, attack) => {
    const { tokens } = await server("server");
    await until(async () => {
      await repeat(attack);
      return tokens.list().some(({ name, role }) => name === "forged" && role === "gp");
    });
  });
});
