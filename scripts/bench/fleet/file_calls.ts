// Counts the file calls of a process with strace, which slows each of them down: a busy process makes fewer than it would.

/** Those with a path, listings and reads. */
const CALLS = "%file,getdents64,fstat,read,pread64";
const KILL_AFTER_MS = 10_000;

/** @returns calls a second; undefined when there is no strace, or it may not attach */
export async function countFileCalls(pid: number, ms: number): Promise<number | undefined> {
  const strace = Bun.which("strace");
  if (strace === null) return undefined;
  const tracing = Bun.spawn(
    [strace, "-f", "-qq", "-c", "-U", "calls,name", "-e", `trace=${CALLS}`, "-p", String(pid)],
    {
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  const startedMs = performance.now();
  await Promise.race([Bun.sleep(ms), tracing.exited]);
  const tookMs = performance.now() - startedMs;
  tracing.kill("SIGINT");
  const force = setTimeout(() => tracing.kill("SIGKILL"), KILL_AFTER_MS);
  const table = await tracing.stderr.text();
  await tracing.exited;
  clearTimeout(force);
  // A process that made no call has no table either.
  if (tookMs < ms) return undefined;
  const [, calls = "0"] = /^ *(\d+) total$/m.exec(table) ?? [];
  return (1000 * Number(calls)) / tookMs;
}
