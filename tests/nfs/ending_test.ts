// A process that is writing to the share when its server stops: a signal ends it at once, not the return of the server.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { report } from "#tests/nfs/guest/figures.ts";
import { startNfsd, stopNfsd } from "#tests/nfs/guest/file_systems/nfs.ts";
import { spawn } from "#tests/nfs/guest/machines.ts";
import { FULL, VERSIONS } from "#tests/nfs/guest/scope.ts";
import { NetworkSite } from "#tests/nfs/guest/site.ts";

const PUBLISHER = join(import.meta.dir, "guest/programs/publisher.ts");
/** A buffered write is caught at a bad moment about every second time. */
const ROUNDS = FULL ? 20 : 6;
const STOPPED_FOR_MS = 500;
/** Ending takes a few milliseconds. */
const ENDS_WITHIN_MS = 2_000;

/** @returns how long the process took to end after SIGKILL, the server being stopped meanwhile */
async function endWhileStopped(sites: readonly NetworkSite[]): Promise<readonly number[]> {
  const writers = sites.map(({ share }) => spawn("c1", ["bun", PUBLISHER, share]));
  await Promise.all(writers.map(async ({ stdout }) => await stdout.getReader().read()));
  await stopNfsd();
  const back = Bun.sleep(STOPPED_FOR_MS + ENDS_WITHIN_MS).then(startNfsd);
  await Bun.sleep(STOPPED_FOR_MS);
  const startedMs = performance.now();
  const tookMs = await Promise.all(
    writers.map(async (writer) => {
      writer.kill("SIGKILL");
      await writer.exited;
      return Math.round(performance.now() - startedMs);
    }),
  );
  await back;
  return tookMs;
}

test("a process that writes ends at once while the server of the share is stopped", async () => {
  await using open = new AsyncDisposableStack();
  const sites: NetworkSite[] = [];
  for (const version of VERSIONS) sites.push(open.use(await NetworkSite.open("ending", version, ["c1"])));
  const rounds: (readonly number[])[] = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push(await endWhileStopped(sites));
  for (const [index, version] of VERSIONS.entries()) {
    const tookMs = rounds.map((round) => round[index]);
    report(`NFSv${version}, killed while it writes and the server is stopped: ended after ${tookMs.join(", ")} ms`);
  }
  expect(Math.max(...rounds.flat())).toBeLessThan(ENDS_WITHIN_MS);
}, 300_000);
