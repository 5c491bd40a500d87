// The doctor's check of the roster.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { publicLine } from "#src/trust/keys.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";
import { OPERATOR, type RosterWish, signedRoster } from "#tests/trust/roster/signed.ts";
import { testKey } from "#tests/trust/test_key.ts";

const DAY_MS = 86_400_000;

let site: ClientSite;
let dir: string;
beforeEach(() => {
  site = new ClientSite();
  dir = mkdtempSync(join(tmpdir(), "roster-doctor-"));
  writeFileSync(join(dir, "operator_keys"), `${publicLine(testKey(OPERATOR), "operator@vault")}\n`);
});
afterEach(async () => {
  await site.close();
  rmSync(dir, { recursive: true, force: true });
});

function put(wish: Partial<RosterWish>): void {
  site.store.roster = signedRoster({ serial: 5, issuedAtMs: site.clock.now(), ...wish });
}

async function rosterCheck(...args: readonly string[]): Promise<string | undefined> {
  const { stdout } = await site.run(["doctor", ...args], { keyFile: join(dir, "signing.key") });
  return stdout.split("\n").find((line) => line.includes(" roster: "));
}

const check = async (): Promise<string | undefined> => await rosterCheck("--operator-keys", join(dir, "operator_keys"));

test("doctor looks at no roster without operator keys", async () => {
  put({});
  expect(await rosterCheck()).toBeUndefined();
});

test("doctor shows when the roster ends, and warns in its last 14 days", async () => {
  const date = (days: number): string => new Date(site.clock.now() + days * DAY_MS).toISOString().slice(0, 10);
  const by = `Roster 5, signed by ${testKey(OPERATOR).id}`;
  put({ days: 30 });
  expect(await check()).toBe(`✓ roster: ${by}, ends on ${date(30)}`);
  put({ days: 13 });
  expect(await check()).toBe(`! roster: ${by}, ends on ${date(13)}`);
});

test("doctor fails without a roster, and when it has expired", async () => {
  expect(await check()).toBe("✗ roster: No roster by an operator has been read here");
  put({ signer: 1 });
  expect(await check()).toBe(
    `✗ roster: Refuses the published roster: the key ${testKey(1).id} is not an operator's here`,
  );
  put({ issuedAtMs: site.clock.now() - 31 * DAY_MS });
  expect(await check()).toStartWith("✗ roster: Refuses the published roster: it is valid from ");
  put({});
  await site.run(["agents", "--operator-keys", join(dir, "operator_keys")], { keyFile: join(dir, "signing.key") });
  await site.clock.advance(31 * DAY_MS);
  expect(await check()).toStartWith("✗ roster: The roster 5 is valid from ");
});

test("doctor warns of an older roster, and of none, while the newest is kept", async () => {
  put({});
  await site.run(["agents", "--operator-keys", join(dir, "operator_keys")], { keyFile: join(dir, "signing.key") });
  put({ serial: 4 });
  expect(await check()).toBe(
    "! roster: Refuses the published roster: its serial is 4, and the one with serial 5 is newer. The roster 5 still counts",
  );
  site.store.roster = null;
  expect(await check()).toBe("! roster: None is on the share. The roster 5 still counts");
});
