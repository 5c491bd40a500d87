// src/transport/share/file_pool.ts: calls that hang leave room for others. In processes of their own: a pool is made once.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** As many calls hang as there are CPUs, each at a FIFO that nobody writes to; then one more call is made. */
const SCRIPT = `
  import { execFileSync } from "node:child_process";
  import { open, promises } from "node:fs";
  import { widenFilePool } from ${JSON.stringify(join(import.meta.dir, "../src/transport/share/file_pool.ts"))};
  const [, , dir, isWidened] = process.argv;
  if (isWidened === "yes") widenFilePool();
  for (let call = 0; call < Math.min(navigator.hardwareConcurrency, 14); call++) {
    execFileSync("mkfifo", [dir + "/" + call]);
    open(dir + "/" + call, "r", () => undefined);
  }
  const other = promises.readdir(dir).then(() => "went on");
  console.log(await Promise.race([other, Bun.sleep(500).then(() => "hung too")]), process.env.UV_THREADPOOL_SIZE);
  process.exit(0);
`;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpu-courier-pool-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function run(isWidened: "yes" | "no", env: Record<string, string> = {}): Promise<string> {
  const script = join(dir, "script.ts");
  await Bun.write(script, SCRIPT);
  const { UV_THREADPOOL_SIZE: _, ...own } = process.env;
  const child = Bun.spawn([process.execPath, script, dir, isWidened], { env: { ...own, ...env }, stderr: "inherit" });
  return (await child.stdout.text()).trim();
}

test("widenFilePool() leaves room beside as many hung calls as there are CPUs", async () => {
  expect(await run("yes")).toBe("went on 16");
});

test("without it, and with the environment's own word, that many stop all others", async () => {
  expect(await run("no")).toBe("hung too undefined");
  const cpus = String(Math.min(navigator.hardwareConcurrency, 14));
  rmSync(dir, { recursive: true, force: true });
  dir = mkdtempSync(join(tmpdir(), "gpu-courier-pool-"));
  expect(await run("yes", { UV_THREADPOOL_SIZE: cpus })).toBe(`hung too ${cpus}`);
});
