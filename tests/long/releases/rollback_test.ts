// A rollback, as install.sh does it: earlier releases on every state file that this one wrote, then this one again.
import { afterAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuditDocument } from "#src/documents/audit.ts";
import { ProcessSite, until } from "#tests/process/site/site.ts";
import { EventListener } from "#tests/support/event_listener.ts";
import { Installation } from "./installation.ts";
import { checkOut, checkOutReleases, PRESENT } from "./release.ts";
import { AGENT_FLAGS, OLLAMA, Rounds } from "./rounds.ts";

const { first, previous, folder } = await checkOutReleases();
afterAll(() => rmSync(folder, { recursive: true }));

const CASES = [
  ["the previous release", "SIGKILL", previous],
  ["the previous release", "SIGTERM", previous],
  ["the first release", "SIGKILL", first],
  ["the first release", "SIGTERM", first],
] as const;
/** With those that earlier releases lack. */
const FLAGS = [...AGENT_FLAGS, "--label", "site=berlin"];

test("a commit that the repository lacks is an error that names the fix", async () => {
  const failure: unknown = await checkOut("0".repeat(40), join(tmpdir(), Bun.randomUUIDv7())).catch((error) => error);
  expect(String(failure)).toMatch(/Cannot find the commit 0{40} .*`git fetch --unshallow`/);
});

/** All sites, so that a case that fails leaves no processes. */
const sites: ProcessSite[] = [];
afterAll(async () => await Promise.all(sites.map(async (site) => await site.close())));

async function open(): Promise<Installation> {
  const site = new ProcessSite();
  sites.push(site);
  return new Installation(site, await site.ollama(OLLAMA));
}

// Concurrent: they spend most of their time waiting.
test.concurrent.each(CASES)(
  "%s after %s serves from all files, finishes the pull under way and repeats no command; so does this release again",
  async (_, signal, earlier) => {
    const box = await open();
    const rounds = new Rounds(box);
    const listener = new EventListener();
    const listen = async (): Promise<void> =>
      await listener.connect(`${box.server.url}/v1/events`, box.server.tokens.viewer);
    const allDelivered = async (): Promise<boolean> =>
      await until(() => listener.ends.length >= rounds.ended.length, "each end is delivered");

    await box.start(PRESENT, FLAGS);
    await listen();
    await rounds.do(1);
    const large = await rounds.beginLarge();
    await allDelivered();
    const limited = await box.token("add", "limited", "--role", "gp", "--agents", "gpu-none");
    expect(await box.accepts(limited)).toBe(true);
    const { key_id } = await box.ask("POST", "/v1/agents/gpu-1/trust", {});
    await box.stop(signal);

    await box.start(earlier, AGENT_FLAGS);
    // It does not know limits, so the token would see everything.
    expect(await box.accepts(limited)).toBe(false);
    await rounds.expectKept(large);
    await rounds.expectNoRepetition();
    await listen();
    await rounds.finishLarge(large);
    await rounds.do(2);
    await allDelivered();
    await box.stop(signal);

    await box.start(PRESENT, FLAGS);
    expect(await box.accepts(limited)).toBe(true);
    await box.token("revoke", "limited");
    await rounds.expectKept();
    await rounds.expectNoRepetition();
    await listen();
    await rounds.do(3);
    await rounds.expectKept();
    await allDelivered();
    expect(listener.ends.toSorted()).toEqual(rounds.ended.map(({ id }) => id ?? "").toSorted());
    // A release that does not know the field leaves it in the ledger.
    expect(box.requesters.get(rounds.ended[0]?.id ?? null)).toBe("gp");
    // The keys of agents are in another table of this kind.
    expect(await box.ask("GET", "/v1/agents/gpu-1")).toMatchObject({ key_id, key_status: "confirmed" });
    // The audit, whose table earlier releases do not know, has what this one sent before and after, also for the agent
    // that is stopped.
    const { entries } = AuditDocument.parse(await box.ask("GET", "/v1/audit?verb=pull_model"));
    const pulled = entries.map(({ model }) => model?.replace(":latest", ""));
    expect(pulled).toEqual(["phi4", "missing-3", "tiny-3", "large", "phi4", "missing-1", "tiny-1"]);
  },
  120_000,
);
