// src/transport/share/calls/file_pool.ts: calls that hang leave room for others. In a binary of its own: a pool is made once.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Fourteen calls hang, each at a FIFO that nobody writes to; then one more call is made. */
const SCRIPT = `
  import { execFileSync } from "node:child_process";
  import { open, promises } from "node:fs";
  import { widenFilePool } from ${JSON.stringify(join(import.meta.dir, "../../../../src/transport/share/calls/file_pool.ts"))};
  const [, , dir, isWidened, limitMs] = process.argv;
  if (isWidened === "yes") widenFilePool();
  for (let call = 0; call < 14; call++) {
    execFileSync("mkfifo", [dir + "/" + call]);
    open(dir + "/" + call, "r", () => undefined);
  }
  const other = promises.readdir(dir).then(() => "went on");
  const ended = await Promise.race([other, Bun.sleep(Number(limitMs)).then(() => "hung too")]);
  console.log(ended, process.env.UV_THREADPOOL_SIZE);
  process.exit(0);
`;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpu-courier-pool-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function output(command: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { UV_THREADPOOL_SIZE: _, ...own } = process.env;
  const child = Bun.spawn([...command], { cwd: dir, env: { ...own, ...env }, stderr: "inherit" });
  return (await child.stdout.text()).trim();
}

test("widenFilePool() leaves room beside fourteen hung calls, unless the environment sets the size of the pool", async () => {
  await Bun.write(join(dir, "script.ts"), SCRIPT);
  await output([process.execPath, "build", "--compile", "script.ts", "--outfile", "script"]);
  const run = async (isWidened: "yes" | "no", limitMs: number, env?: Record<string, string>): Promise<string> => {
    const fifos = mkdtempSync(join(dir, "fifos-"));
    return await output([join(dir, "script"), fifos, isWidened, String(limitMs)], env);
  };
  const two = { UV_THREADPOOL_SIZE: "2" };
  expect(await run("yes", 5_000)).toBe("went on 16");
  expect(await run("yes", 500, two)).toBe("hung too 2");
  expect(await run("no", 500, two)).toBe("hung too 2");
});
