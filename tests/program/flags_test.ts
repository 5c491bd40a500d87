// Flags of the three programs: none takes an empty value.
import { expect, test } from "bun:test";
import { join } from "node:path";

const ENTRY_POINTS = ["agent.ts", "server.ts", "client.ts"].map((name) => join(import.meta.dir, "../../src", name));
/** Of each flag with a value that the program's help lists, the exit status with an empty one. */
const PROBE = `
const [entry] = process.argv.slice(1);
const help = Bun.spawnSync([process.execPath, entry, "--help"]).stdout.toString();
const { main } = await import(entry);
const flags = [...help.matchAll(/^ +(--[a-z-]+) [<[]/gm)].map(([, flag]) => flag);
// gpuctl takes its streams and files as an argument; the other programs do not use it here.
const io = { stdout: process.stderr, stderr: process.stderr, keyFile: "/nonexistent/signing.key" };
const statuses = {};
for (const flag of flags) statuses[flag] = await main([flag, ""], io);
console.log(JSON.stringify(statuses));
process.exit(0);
`;

test.concurrent.each(ENTRY_POINTS)("every flag of %s refuses an empty value with 64", async (entry) => {
  const probe = Bun.spawn([process.execPath, "-e", PROBE, entry], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([probe.stdout.text(), probe.stderr.text()]);
  const statuses = new Map(Object.entries(JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}")));
  expect([...statuses].filter(([, status]) => status !== 64)).toEqual([]);
  expect(statuses.size).toBeGreaterThanOrEqual(3);
  expect(stderr).toContain("''");
});

test.concurrent("an empty value in the environment counts as unset", async () => {
  const env = { ...process.env, GPU_COURIER_AGENT: "", GPU_COURIER_STATE_DIR: "", GPU_COURIER_TIMEOUT: "" };
  const help = Bun.spawn([process.execPath, ENTRY_POINTS[2] ?? "", "version"], {
    env,
    stdin: "ignore",
    stdout: "pipe",
  });
  expect(await help.exited).toBe(0);
});
