// The legacy backend on a client of its own, asking for its answer by the exact name as it always did: what becomes of its
// lists without gpu-server on its machine, and with it.
import { describe, expect, test } from "bun:test";
import { callsOf, difference, sum } from "#tests/nfs/guest/calls.ts";
import { describeTimes, report } from "#tests/nfs/guest/figures.ts";
import { type Client } from "#tests/nfs/guest/machines.ts";
import { VERSIONS, type Version } from "#tests/nfs/guest/scope.ts";
import { NfsSite, type OldOutcome } from "#tests/nfs/guest/site.ts";

const PHI = { name: "phi4:latest", layers: [2_000_000] };
/** One on each machine: what else a machine does may happen to show it the answer. */
const ALONE: readonly Client[] = ["c2", "c3"];
/** Two within a second would share an id. */
const APART_MS = 1_100;
const WITH_WORKAROUND = 20;
const WITH_WORKAROUND_WITHIN_MS = 3_000;
const HTTP = 20;

async function openSite(name: string, version: Version): Promise<NfsSite> {
  const site = await NfsSite.open(name, version);
  await site.agent("c1", "gpu-1", await site.ollama({ catalog: [PHI], installed: [PHI] }));
  return site;
}

describe.each(VERSIONS)("NFSv%s", (version) => {
  test.concurrent("without gpu-server on its machine it times out", async () => {
    await using site = await openSite("alone", version);
    const lists = await Promise.all(
      ALONE.map(async (client, index) => {
        await Bun.sleep(index * APART_MS);
        return await site.legacyBackend(client, "list");
      }),
    );
    const reasons = lists.flat().map(({ reason }) => reason);
    report(`NFSv${version}, the legacy backend alone: ${reasons.join(", ")}`);
    expect(reasons).toContain("timed_out");
  }, 120_000);

  test.concurrent(`with gpu-server on its machine ${WITH_WORKAROUND} of ${WITH_WORKAROUND} lists come within 3 s`, async () => {
    await using site = await openSite("workaround", version);
    const server = await site.server("c3");
    const quiet = await callsOf(site, "c3");
    await Bun.sleep(5_000);
    const idle = sum(difference(await callsOf(site, "c3"), quiet));
    const before = await callsOf(site, "c3");
    const startedMs = performance.now();
    const lists: OldOutcome[] = [];
    // Those that time out take 30 s each: the first of them says enough.
    while (lists.length < WITH_WORKAROUND && lists.every(({ reason }) => reason === "answered"))
      lists.push(...(await site.legacyBackend("c3", "list", "--repeat", "5")));
    const seconds = (performance.now() - startedMs) / 1000;
    const calls = difference(await callsOf(site, "c3"), before);
    report(
      `NFSv${version}, the legacy backend beside gpu-server: ${describeTimes(lists.map(({ waitedMs }) => waitedMs))}`,
    );
    const perSecond = (count: number): string => (count / seconds).toFixed(1);
    const most = [...calls].slice(0, 6).map(([name, count]) => `${name} ${perSecond(count)}`);
    report(`  calls a second of both: ${perSecond(sum(calls))} (${most.join(", ")}); at rest ${(idle / 5).toFixed(1)}`);
    expect(lists.map(({ reason, models }) => [reason, models.length])).toEqual(
      Array.from({ length: WITH_WORKAROUND }, () => ["answered", 1]),
    );
    expect(Math.max(...lists.map(({ waitedMs }) => waitedMs))).toBeLessThanOrEqual(WITH_WORKAROUND_WITHIN_MS);
    for (let list = 1; list <= HTTP; list++) {
      const { status, answer } = await server.call("GET", `/api/config/models${list % 2 === 0 ? "?fresh=true" : ""}`);
      expect([list, status, answer["models"]]).toMatchObject([list, 200, [{ name: "phi4:latest" }]]);
    }
  }, 900_000);
});
