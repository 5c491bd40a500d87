// The kept roster: which one counts, over restarts, and what does not displace it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { KnownAgents } from "#src/trust/agents/known_agents.ts";
import { publicLine, rawKey } from "#src/trust/keys.ts";
import { KeptRoster } from "#src/trust/roster/kept_roster.ts";
import { operatorKeysFile } from "#src/trust/roster/operator_keys.ts";
import { RosterReading, takeRoster } from "#src/trust/roster/take_roster.ts";
import { TrustedSenders } from "#src/trust/roster/trusted_senders.ts";
import { signDocument } from "#src/trust/signature.ts";
import { parseTrustedKeys } from "#src/trust/trusted_keys.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";
import { testKey } from "#tests/trust/test_key.ts";
import { OPERATOR, type RosterWish, signedRoster } from "./signed.ts";

const DAY_MS = 86_400_000;
const ALICE = publicLine(testKey(1), "alice@laptop");
const BOB = publicLine(testKey(2), "bob@laptop");
const OTHER_OPERATOR = 8;

let dir: string;
let path: string;
let operators: string;
let nowMs: number;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "kept-roster-"));
  path = join(dir, "state", "roster.json");
  operators = join(dir, "operator_keys");
  nowMs = Date.parse("2026-11-28T21:00:00Z");
  writeOperators(OPERATOR);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function writeOperators(...bytes: readonly number[]): void {
  writeFileSync(`${operators}.new`, bytes.map((byte) => `${publicLine(testKey(byte), "operator")}\n`).join(""));
  renameSync(`${operators}.new`, operators);
}

/** What a program has after a start. */
function open(): KeptRoster {
  const clock = { now: () => nowMs };
  return new KeptRoster({ operators: operatorKeysFile(operators), path, clock, log: silentLog });
}

async function take(kept: KeptRoster, text: string | null): Promise<string> {
  const content = text === null ? null : { text };
  return await takeRoster({ readRoster: async () => content }, kept).then(String, (error: Error) => error.message);
}

function roster(wish: Partial<RosterWish> = {}): string {
  return signedRoster({ serial: 5, issuedAtMs: nowMs, senders: [ALICE], ...wish });
}

const trusts = (kept: KeptRoster, byte: number): boolean => kept.sender(testKey(byte).id) !== undefined;

describe("takeRoster()", () => {
  test("keeps a newer roster, for its owner only, over a restart", async () => {
    const kept = open();
    expect(kept.trouble?.message).toBe("No roster by an operator has been read here");
    expect(await take(kept, roster())).toBe("true");
    expect(await take(kept, `${roster()}\n`)).toBe("false");
    expect([trusts(kept, 1), trusts(kept, 2), kept.trouble]).toEqual([true, false, null]);
    expect(await take(kept, roster({ serial: 6, senders: [BOB] }))).toBe("true");
    expect([trusts(open(), 1), trusts(open(), 2), open().roster?.serial]).toEqual([false, true, 6]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test.each([
    ["an older one", (): string => roster({ serial: 4 }), "its serial is 4, and the one with serial 5 is newer"],
    [
      "another one with the same serial",
      (): string => roster({ senders: [BOB] }),
      "its serial is 5, and another one has the same serial",
    ],
    [
      "one of a stranger",
      (): string => roster({ serial: 6, signer: 1 }),
      `the key ${testKey(1).id} is not an operator's here`,
    ],
    [
      "one with another byte",
      (): string => roster({ serial: 6 }).replace("alice", "alicf"),
      "it was changed after it was signed",
    ],
    ["one without a signature", (): string => '{"serial":6}', "it is not signed"],
  ] as const)("refuses %s, also after a restart", async (_, make, reason) => {
    await take(open(), roster());
    for (const kept of [open(), open()]) {
      expect(await take(kept, make())).toBe(`Refuses the published roster: ${reason}`);
      expect([kept.roster?.serial, trusts(kept, 1), trusts(kept, 2)]).toEqual([5, true, false]);
    }
  });

  test.each([
    ["that has expired", -31],
    ["that is valid later", 2],
  ])("does not take a first roster %s, nor the agents' keys in it", async (_, days) => {
    const agents = { "gpu-1": rawKey(testKey(3)) };
    const old = roster({ issuedAtMs: nowMs + days * DAY_MS, agents });
    const kept = open();
    expect(await take(kept, old)).toStartWith("Refuses the published roster: it is valid from 202");
    expect([kept.roster, kept.expectedKey("gpu-1"), open().roster]).toEqual([null, undefined, null]);
    expect(await take(kept, roster({ serial: 4 }))).toBe("true");
  });

  test("takes no expired roster of another operator when that of the kept one is removed", async () => {
    const kept = open();
    await take(kept, roster());
    writeOperators(OTHER_OPERATOR);
    const old = roster({ serial: 9, issuedAtMs: nowMs - 31 * DAY_MS, signer: OTHER_OPERATOR });
    expect(await take(kept, old)).toStartWith("Refuses the published roster: it is valid from 202");
  });

  test("keeps the roster when it is removed from the share, or the file cannot be used", async () => {
    const kept = open();
    await take(kept, roster());
    expect(await take(kept, null)).toBe("false");
    const refused = { readRoster: async () => ({ refused: "is a link" }) };
    expect(takeRoster(refused, kept)).rejects.toThrow("Refuses the published roster: it is a link");
    expect(trusts(kept, 1)).toBe(true);
  });

  test("uses a roster that cannot be saved, reports it each time, and saves it when that works again", async () => {
    mkdirSync(`${path}.${process.pid}.new`, { recursive: true });
    const kept = open();
    for (let times = 0; times < 2; times++)
      expect(await take(kept, roster())).toStartWith(`Cannot keep the roster in ${path}`);
    expect(trusts(kept, 1)).toBe(true);
    rmdirSync(`${path}.${process.pid}.new`);
    expect(await take(kept, roster())).toBe("false");
    expect(trusts(open(), 1)).toBe(true);
  });
});

describe("KeptRoster", () => {
  test("trusts no sender of an expired roster, and still knows its agents and what it revokes", async () => {
    const agents = { "gpu-1": rawKey(testKey(3)) };
    await take(open(), roster({ days: 90, agents, revoked: [testKey(2).id] }));
    nowMs += 90 * DAY_MS;
    const kept = open();
    expect([trusts(kept, 1), kept.trouble?.message]).toEqual([
      false,
      "The roster 5 is valid from 2026-11-28T21:00:00.000Z to 2027-02-26T21:00:00.000Z only",
    ]);
    expect([kept.isRevoked(testKey(2).id), kept.expectedKey("gpu-1")]).toEqual([true, rawKey(testKey(3))]);
    expect(await take(kept, roster({ serial: 6 }))).toBe("true");
    expect([trusts(kept, 1), kept.trouble]).toEqual([true, null]);
  });

  test("does not trust a sender whose key the same roster revokes", async () => {
    const kept = open();
    await take(kept, roster({ senders: [ALICE, BOB], revoked: [testKey(2).id] }));
    expect([trusts(kept, 1), trusts(kept, 2), kept.isRevoked(testKey(2).id)]).toEqual([true, false, true]);
  });

  test("drops the roster of an operator whose key is removed, whatever its serial, and takes the next operator's", async () => {
    const kept = open();
    await take(kept, roster({ serial: Number.MAX_SAFE_INTEGER }));
    writeOperators(OTHER_OPERATOR);
    expect([trusts(kept, 1), trusts(open(), 1)]).toEqual([false, false]);
    expect(await take(kept, roster({ serial: 1, signer: OTHER_OPERATOR, senders: [BOB] }))).toBe("true");
    expect([trusts(kept, 1), trusts(kept, 2), trusts(open(), 2)]).toEqual([false, true, true]);
  });

  test("keeps the highest serial while the key moves from one operator to the next", async () => {
    const kept = open();
    writeOperators(OPERATOR, OTHER_OPERATOR);
    await take(kept, roster());
    expect(await take(kept, roster({ serial: 6, signer: OTHER_OPERATOR }))).toBe("true");
    writeOperators(OTHER_OPERATOR);
    expect([kept.roster?.serial, open().roster?.serial]).toEqual([6, 6]);
  });

  test("drops the roster of an operator whose line has ended", async () => {
    await take(open(), roster());
    writeFileSync(operators, `${publicLine(testKey(OPERATOR), "operator")} not-after=2026-12-01\n`);
    expect(trusts(open(), 1)).toBe(true);
    nowMs = Date.parse("2026-12-02T00:00:00Z");
    expect(trusts(open(), 1)).toBe(false);
  });

  test("trusts nothing while the operator keys cannot be used", async () => {
    const kept = open();
    await take(kept, roster());
    rmSync(operators);
    expect([trusts(kept, 1), kept.trouble?.message]).toEqual([
      false,
      `Cannot use the operator keys in ${operators}: ENOENT`,
    ]);
    writeOperators(OPERATOR);
    expect([trusts(kept, 1), kept.trouble]).toEqual([true, null]);
  });

  test.each([
    ["was removed", (): void => writeOperators(OTHER_OPERATOR)],
    ["has ended", (): void => void (nowMs = Date.parse("2026-12-02T00:00:00Z"))],
  ])(
    "still knows what was revoked when the operator's line %s, until another operator's roster counts",
    async (_, end) => {
      const lines = [
        `${publicLine(testKey(OPERATOR), "operator")} not-after=2026-12-01`,
        publicLine(testKey(OTHER_OPERATOR), "other"),
      ];
      writeFileSync(operators, `${lines.join("\n")}\n`);
      const kept = open();
      await take(kept, roster({ revoked: [testKey(1).id] }));
      end();
      const file = parseTrustedKeys(ALICE);
      for (const each of [kept, open()]) {
        const ownFile = { find: (id: string) => file.get(id), look: () => undefined, trouble: null };
        const senders = new TrustedSenders({ file: ownFile, roster: each });
        expect([each.roster, senders.isRevoked(testKey(1).id), senders.find(testKey(1).id)]).toEqual([
          null,
          true,
          undefined,
        ]);
      }
      expect(await take(kept, roster({ serial: 1, issuedAtMs: nowMs, signer: OTHER_OPERATOR }))).toBe("true");
      expect([kept.isRevoked(testKey(1).id), open().isRevoked(testKey(1).id)]).toEqual([false, false]);
    },
  );

  test("lets a reader believe no revoked agent's key after the operator was removed", async () => {
    const agents = { "gpu-1": rawKey(testKey(3)) };
    const signed = (sequence: number): string => {
      const state = { ...sampleDocument("v2/state.json"), agent: "gpu-1", sequence, key: rawKey(testKey(3)), boot: 1 };
      return signDocument("state", JSON.stringify({ ...state, published_at_ms: 1 }), testKey(3));
    };
    const kept = open();
    await take(kept, roster({ agents }));
    const readers = new KnownAgents("all", kept);
    expect([readers.judge("gpu-1", signed(1)).counts, readers.key("gpu-1")?.status]).toEqual([true, "confirmed"]);
    await take(kept, roster({ serial: 6, revoked: [testKey(3).id] }));
    expect(readers.judge("gpu-1", signed(2)).counts).toBe(false);
    writeOperators(OTHER_OPERATOR);
    nowMs += 2_000;
    expect(readers.judge("gpu-1", signed(3)).counts).toBe(false);
  });

  test("leaves a newer one that another program kept meanwhile", async () => {
    const [slow, quick] = [open(), open()];
    slow.offer(roster());
    await take(quick, roster({ serial: 6, senders: [BOB] }));
    slow.save();
    expect([trusts(slow, 1), trusts(slow, 2), open().roster?.serial]).toEqual([false, true, 6]);
  });

  test("does not believe a kept file that was changed", async () => {
    await take(open(), roster());
    writeFileSync(path, readFileSync(path, "utf8").replace("alice", "alicf"));
    const kept = open();
    expect([kept.roster, trusts(kept, 1)]).toEqual([null, false]);
    expect(await take(kept, roster())).toBe("true");
    expect(trusts(kept, 1)).toBe(true);
  });
});

test("RosterReading looks every 2 s until the share can be read, and then once a minute", async () => {
  const clock = new ManualClock();
  const stop = new AbortController();
  const answers = [unavailable, unavailable, async () => ({ text: roster({ issuedAtMs: clock.now() }) })];
  const looks: number[] = [];
  const startedMs = clock.monotonic();
  const readRoster = async () => {
    looks.push(Math.round((clock.monotonic() - startedMs) / 1000));
    return await (answers.shift() ?? (async () => null))();
  };
  const kept = new KeptRoster({ operators: operatorKeysFile(operators), path, clock, log: silentLog });
  const running = new RosterReading({ transport: { readRoster }, kept, clock, log: silentLog }).run(stop.signal);
  await clock.advance(130_000);
  expect([looks, kept.trouble]).toEqual([[0, 2, 4, 64, 124], null]);
  stop.abort();
  await running;
});

test("RosterReading warns once that no roster has ever counted", async () => {
  const clock = new ManualClock();
  const stop = new AbortController();
  const warned: string[] = [];
  const kept = new KeptRoster({ operators: operatorKeysFile(operators), path, clock, log: silentLog });
  const log = { ...silentLog, warn: (_: object, message: string) => void warned.push(message) };
  const transport = { readRoster: async () => await Promise.resolve(null) };
  const running = new RosterReading({ transport, kept, clock, log }).run(stop.signal);
  await clock.advance(180_000);
  expect(warned).toEqual(["No roster by an operator has been read here"]);
  stop.abort();
  await running;
});

async function unavailable(): Promise<null> {
  throw new CourierError("unavailable", "The share is away");
}
