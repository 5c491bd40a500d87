// An agent that trusts an operator, on the memory transport: whose commands run, and which rosters change that.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentParts } from "#src/agent/assemble.ts";
import { silentLog } from "#src/base/log.ts";
import { publicLine } from "#src/trust/keys.ts";
import { signDocument } from "#src/trust/signature.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite, type RunningAgent, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";
import { OPERATOR, type RosterWish, signedRoster } from "#tests/trust/roster/signed.ts";
import { testKey } from "#tests/trust/test_key.ts";

const [SERVER, ALICE, BOB] = [testKey(1), testKey(2), testKey(3)];
const [ALICES_LINE, BOBS_LINE] = [publicLine(ALICE, "alice@laptop"), publicLine(BOB, "bob@laptop")];
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

let site: MemorySite;
let dir: string;
let trustedKeys: string;
let logged: string[];
beforeEach(async () => {
  site = new MemorySite();
  dir = site.stateDir();
  trustedKeys = join(dir, "trusted_keys");
  logged = [];
  writeFileSync(trustedKeys, `${publicLine(SERVER, "server@platform")}\n`);
  writeFileSync(join(dir, "operator_keys"), `${publicLine(testKey(OPERATOR), "operator@vault")}\n`);
  await site.listen({ replyTo: "tester" });
});
afterEach(async () => await site.close());

async function start(options: Partial<AgentParts> = {}): Promise<RunningAgent> {
  const operators = { keys: join(dir, "operator_keys"), roster: join(dir, "roster.json") };
  const error = (_: object, message: string): number => logged.push(message);
  const ollama = new ScriptedOllama();
  const log = { ...silentLog, error };
  return await site.start("gpu-1", {
    dir,
    ollama,
    requireSignatures: "changing",
    trustedKeys,
    operators,
    log,
    ...options,
  });
}

async function publish(wish: Partial<RosterWish>): Promise<void> {
  await site.platform.publishRoster(signedRoster({ serial: 1, issuedAtMs: site.clock.now(), ...wish }));
}

/** As `publish()`, a roster with five minutes left. */
async function publishLast(wish: Partial<RosterWish>): Promise<void> {
  await publish({ issuedAtMs: site.clock.now() - 30 * DAY_MS + 5 * MINUTE_MS, ...wish });
}

/** As somebody who may write to the share puts it there. */
async function put(text: string | null): Promise<void> {
  site.store.roster = text;
  await site.clock.advance(MINUTE_MS);
}

let sent = 0;
/** Unloads a model with a command that this key signed. @returns `done`, or the code of the refusal */
async function command(key: typeof SERVER, verb = "unload_model"): Promise<string> {
  const id = `id-${++sent}`;
  const text = JSON.stringify({
    version: 2,
    command: verb,
    command_id: id,
    timestamp: "2026-01-02T03:04:05Z",
    agent: "gpu-1",
    reply_to: "tester",
    ttl_ms: 30_000,
    expires_at: Math.round(site.clock.now()) + 30_000,
    model_name: "phi4",
  });
  await site.platform.send({ agent: "gpu-1" }, id, signDocument("command", text, key), { durable: true });
  await settle();
  const { success, code } = site.replies.get(id) ?? {};
  return success === true ? "done" : (code ?? "no answer");
}

const outcomes = async (): Promise<string[]> => [await command(SERVER), await command(ALICE), await command(BOB)];

describe("a sender that the roster names", () => {
  test("is trusted beside the trusted keys, and no longer than the roster that names it", async () => {
    await publish({ senders: [ALICES_LINE] });
    await start();
    expect(await outcomes()).toEqual(["done", "done", "unauthenticated"]);
    await publishLast({ serial: 2, senders: [BOBS_LINE] });
    await site.clock.advance(MINUTE_MS);
    expect(await outcomes()).toEqual(["done", "unauthenticated", "done"]);
    await site.clock.advance(5 * MINUTE_MS);
    expect(await outcomes()).toEqual(["done", "unauthenticated", "unauthenticated"]);
  });

  test("may use the verbs of its line only", async () => {
    await publish({ senders: [`${ALICES_LINE} verbs=unload_model`] });
    await start();
    expect([await command(ALICE), await command(ALICE, "delete_model")]).toEqual(["done", "forbidden"]);
  });

  test("is limited by its line in the trusted keys, if it has one there too", async () => {
    writeFileSync(trustedKeys, `${ALICES_LINE} verbs=delete_model\n`);
    await publish({ senders: [ALICES_LINE] });
    await start();
    expect([await command(ALICE), await command(ALICE, "delete_model")]).toEqual(["forbidden", "done"]);
  });

  test("counts for nothing on a box that trusts no operator", async () => {
    await publish({ senders: [ALICES_LINE] });
    await start({ operators: null });
    expect(await outcomes()).toEqual(["done", "unauthenticated", "unauthenticated"]);
  });
});

describe("a key that the roster revokes", () => {
  test("is refused although it is in the trusted keys, also when the roster has expired", async () => {
    await publishLast({ senders: [ALICES_LINE], revoked: [SERVER.id] });
    await start();
    expect(await outcomes()).toEqual(["unauthenticated", "done", "unauthenticated"]);
    await site.clock.advance(5 * MINUTE_MS);
    expect(await outcomes()).toEqual(["unauthenticated", "unauthenticated", "unauthenticated"]);
  });

  test("is refused in mode warn too", async () => {
    await publish({ revoked: [SERVER.id] });
    await start({ requireSignatures: "warn" });
    expect([await command(SERVER), await command(BOB)]).toEqual(["unauthenticated", "done"]);
  });
});

describe("a roster that a writer on the share puts there", () => {
  test.each([
    ["older", "its serial is 1, and the one with serial 2 is newer"],
    ["tampered", "it was changed after it was signed"],
    ["foreign", `the key ${BOB.id} is not an operator's here`],
    ["removed", null],
  ] as const)("%s, changes nothing, also after a restart", async (how, reason) => {
    const issuedAtMs = site.clock.now();
    const older = signedRoster({ serial: 1, issuedAtMs, senders: [ALICES_LINE, BOBS_LINE] });
    const newer = signedRoster({ serial: 2, issuedAtMs, senders: [ALICES_LINE], revoked: [BOB.id] });
    const texts = {
      older,
      tampered: newer.replace(BOB.id, SERVER.id),
      foreign: signedRoster({ serial: 3, issuedAtMs, senders: [BOBS_LINE], signer: 3 }),
      removed: null,
    };
    await put(newer);
    const first = await start();
    expect(await outcomes()).toEqual(["done", "done", "unauthenticated"]);
    await put(texts[how]);
    expect(await outcomes()).toEqual(["done", "done", "unauthenticated"]);
    first.stop.abort();
    await site.clock.advance(10_000);
    await first.ended;
    first.ledger.close();
    await start();
    expect(await outcomes()).toEqual(["done", "done", "unauthenticated"]);
    const refusal = reason === null ? [] : [`Refuses the published roster: ${reason}`];
    // Once in each of its lives.
    expect(logged).toEqual([...refusal, ...refusal]);
  });
});

describe("an agent whose senders all come from the roster", () => {
  test("only reads until there is one, and again when it has expired", async () => {
    await start({ trustedKeys: null });
    await site.clock.advance(6000);
    const first = await site.state("gpu-1");
    expect([first.status, first.reading_only]).toEqual(["degraded", true]);
    expect(first.degraded_reason).toContain("No roster by an operator has been read here");
    expect(await command(ALICE)).toBe("unavailable");
    await publishLast({ senders: [ALICES_LINE] });
    await site.clock.advance(MINUTE_MS + 6000);
    expect([(await site.state("gpu-1")).status, await command(ALICE)]).toEqual(["running", "done"]);
    await site.clock.advance(5 * MINUTE_MS);
    expect([(await site.state("gpu-1")).status, await command(ALICE)]).toEqual(["degraded", "unavailable"]);
  });
});

test("nothing that changes anything runs while the operators' keys cannot be used: what they revoked is unknown", async () => {
  await publish({ senders: [ALICES_LINE], revoked: [BOB.id] });
  await start();
  writeFileSync(join(dir, "operator_keys"), "");
  await site.clock.advance(6000);
  expect((await site.state("gpu-1")).degraded_reason).toContain("Cannot use the operator keys");
  // Bob was revoked before.
  expect(await outcomes()).toEqual(["unavailable", "unavailable", "unauthenticated"]);
});
