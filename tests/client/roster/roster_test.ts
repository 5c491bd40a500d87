// gpuctl roster: from the operator's key to the published roster, and an older one that somebody puts there.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { publicLine, rawKey } from "#src/trust/keys.ts";
import { parseOperatorKeys } from "#src/trust/roster/operator_keys.ts";
import { verifyRoster } from "#src/trust/roster/roster.ts";
import { ClientSite, type Ran } from "#tests/support/sites/client_run.ts";
import { testKey } from "#tests/trust/test_key.ts";

const SENDER = publicLine(testKey(1), "server@platform");
const AGENT = rawKey(testKey(3));
const DRAFT = `agent gpu-1 ed25519 ${AGENT}\nsender ${SENDER} verbs=pull_model\nrevoked ${testKey(5).id}\n`;
const DAY_MS = 86_400_000;

let site: ClientSite;
let dir: string;
beforeEach(() => {
  site = new ClientSite();
  dir = mkdtempSync(join(tmpdir(), "roster-verbs-"));
});
afterEach(async () => {
  await site.close();
  rmSync(dir, { recursive: true, force: true });
});

const file = (name: string): string => join(dir, name);

function write(name: string, text: string): string {
  writeFileSync(file(name), text);
  return file(name);
}

/** As the operator, whose files are in a folder of their own, or as somebody with the operators' keys. */
async function gpuctl(...args: readonly string[]): Promise<Ran> {
  return await site.run(args, { keyFile: file("config/signing.key") });
}

async function trusting(...args: readonly string[]): Promise<Ran> {
  return await gpuctl(...args, "--operator-keys", file("operator_keys"));
}

async function sign(draft: string, ...args: readonly string[]): Promise<string> {
  const { status, stdout } = await gpuctl("roster", "sign", write("roster.txt", draft), ...args);
  expect(status).toBe(0);
  return stdout;
}

/** The operator's key is made, and known where `trusting()` runs. */
async function makeOperator(): Promise<void> {
  write("operator_keys", (await gpuctl("roster", "key")).stdout);
}

test("roster key creates the operator's key beside the one that signs commands, and prints its line each time", async () => {
  const { status, stdout } = await gpuctl("roster", "key");
  const [key] = parseOperatorKeys(stdout).values();
  expect([status, key?.comment, existsSync(file("config/signing.key"))]).toEqual([0, "test@here", false]);
  expect(statSync(file("config/operator.key")).mode & 0o777).toBe(0o600);
  expect(JSON.parse((await gpuctl("roster", "key", "--json")).stdout)).toEqual({ id: key?.id, line: stdout.trim() });
  expect((await gpuctl("roster", "key", "--key", file("other.key"))).stdout).not.toBe(stdout);
});

describe("roster sign", () => {
  test("prints what verifyRoster() takes, for 90 days, with the time in seconds as serial", async () => {
    await makeOperator();
    const text = await sign(DRAFT);
    const nowMs = Math.floor(site.clock.now());
    const operators = parseOperatorKeys(await Bun.file(file("operator_keys")).text());
    expect(verifyRoster(text, (id) => operators.get(id))).toMatchObject({
      serial: Math.floor(nowMs / 1000),
      issued_at_ms: nowMs,
      expires_at_ms: nowMs + 90 * DAY_MS,
      agents: { "gpu-1": AGENT },
      senders: [`${SENDER} verbs=pull_model`],
      revoked: [testKey(5).id],
    });
    expect(JSON.parse(await sign(DRAFT, "--serial", "7", "--days", "1"))).toMatchObject({
      serial: 7,
      expires_at_ms: nowMs + DAY_MS,
    });
  });

  test.each([
    ["without a key", [], DRAFT, 66, "gpuctl roster key"],
    ["for 91 days", ["--days", "91"], DRAFT, 64, "at most 90 days"],
    ["with a line that is wrong", [], `${DRAFT}sender nonsense\n`, 64, "roster.txt, line 4: it does not begin with"],
  ] as const)("prints nothing %s", async (what, args, draft, status, message) => {
    if (what !== "without a key") await makeOperator();
    const ran = await gpuctl("roster", "sign", write("roster.txt", draft), ...args);
    expect([ran.status, ran.stdout]).toEqual([status, ""]);
    expect(ran.stderr).toContain(message);
  });

  test("names a draft that cannot be read", async () => {
    await makeOperator();
    const { status, stderr } = await gpuctl("roster", "sign", file("missing.txt"));
    expect([status, stderr]).toEqual([64, `error: Cannot read ${file("missing.txt")}: ENOENT\n`]);
  });
});

describe("roster publish and show", () => {
  test("publish the lines, and show them as a draft that can be signed again", async () => {
    await makeOperator();
    expect((await trusting("roster", "show")).status).toBe(66);
    const published = await trusting("roster", "publish", write("roster.json", await sign(DRAFT, "--serial", "7")));
    expect([published.status, published.stdout]).toEqual([
      0,
      "Published the roster 7: boxes and servers read it within a minute\n",
    ]);
    const shown = await trusting("roster", "show");
    expect(shown).toMatchObject({ status: 0, stderr: "" });
    expect(shown.stdout).toStartWith("# Roster 7, signed by ");
    expect(shown.stdout).toEndWith(`\n${DRAFT}`);
    expect(JSON.parse(await sign(shown.stdout))).toMatchObject({
      agents: { "gpu-1": AGENT },
      revoked: [testKey(5).id],
    });
    const { verified, serial, agents } = JSON.parse((await trusting("roster", "show", "--json")).stdout);
    expect({ verified, serial, agents }).toEqual({ verified: true, serial: 7, agents: { "gpu-1": AGENT } });
  });

  test("an old roster: refused", async () => {
    await makeOperator();
    const [old, current] = [await sign(DRAFT, "--serial", "7"), await sign(DRAFT, "--serial", "8")];
    await trusting("roster", "publish", write("current.json", current));
    const reason = "its serial is 7, and the one with serial 8 is newer";
    const published = await trusting("roster", "publish", write("old.json", old));
    expect([published.status, published.stderr]).toEqual([
      73,
      `error: Refuses the roster in ${file("old.json")}: ${reason}\n`,
    ]);
    // Somebody who may write to the share puts it there.
    site.store.roster = old;
    const shown = await trusting("roster", "show");
    expect([shown.status, shown.stdout, shown.stderr]).toEqual([
      73,
      "",
      `error: Refuses the published roster: ${reason}\n`,
    ]);
    expect((await trusting("agents")).stderr).toContain(`Refuses the published roster: ${reason}`);
    const drafted = await trusting("roster", "draft");
    expect([drafted.status, drafted.stdout.startsWith("# Roster 8,")]).toEqual([0, true]);
    // The next one replaces it.
    expect((await trusting("roster", "publish", write("next.json", await sign(DRAFT, "--serial", "9")))).status).toBe(
      0,
    );
    expect((await trusting("roster", "show")).stdout).toStartWith("# Roster 9,");
  });

  test.each([
    ["was changed", (text: string) => text.replace("verbs=pull_model", ""), "it was changed after it was signed"],
    ["is not signed", () => "{}", "it is not signed"],
  ] as const)("publish refuses a roster that %s", async (_, change, reason) => {
    await makeOperator();
    const path = write("roster.json", change(await sign(DRAFT)));
    const ran = await trusting("roster", "publish", path);
    expect([ran.status, ran.stderr.split("\n")[0]]).toEqual([77, `error: Refuses the roster in ${path}: ${reason}`]);
    expect(site.store.roster).toBeNull();
  });

  test("show warns from 14 days before the end", async () => {
    await makeOperator();
    const path = write("roster.json", await sign(DRAFT, "--days", "30"));
    const noteAfter = async (days: number): Promise<string | undefined> => {
      await site.clock.advance(days * DAY_MS);
      return (await trusting("roster", "show", path)).stderr.split("\n")[0];
    };
    expect([await noteAfter(0), await noteAfter(16), await noteAfter(1), await noteAfter(13)]).toEqual([
      "",
      "",
      "It ends in 13 days",
      "It has ended: its senders are no longer trusted",
    ]);
  });

  test("without operator keys, show says that nothing is verified", async () => {
    await makeOperator();
    await gpuctl("roster", "publish", write("roster.json", await sign(DRAFT)));
    const { status, stdout, stderr } = await gpuctl("roster", "show");
    expect([status, stdout.includes("(not verified)"), stderr]).toEqual([
      0,
      true,
      "Not verified: --operator-keys names no operator here\n",
    ]);
  });

  test("operator keys that cannot be used end every verb", async () => {
    write("operator_keys", "nonsense\n");
    const { status, stderr } = await trusting("agents");
    expect([status, stderr.startsWith("error: Cannot use the operator keys in")]).toEqual([69, true]);
  });
});

test("roster draft explains its lines, and has the agents that were seen as comments", async () => {
  await site.agent("gpu-2", { key: testKey(3) });
  const { status, stdout } = await gpuctl("roster", "draft");
  expect(status).toBe(0);
  // What nobody signed is no draft for an operator.
  await makeOperator();
  site.store.roster = "{}";
  expect((await trusting("roster", "draft")).stdout).toBe(stdout);
  expect(stdout).toStartWith("# One line for each agent, sender and revoked key");
  expect(stdout).toEndWith(`then remove the #\n# agent gpu-2 ed25519 ${AGENT}\n`);
});
