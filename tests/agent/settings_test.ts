// Flags and environment variables of gpu-agent as the agent gets them.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AgentParts } from "#src/agent/assemble.ts";
import { MirrorSource } from "#src/agent/pulls/fetches/mirror_source.ts";
import { main } from "#src/agent.ts";
import { CourierError } from "#src/base/errors.ts";

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
const OLD_NAME = "GPU_COURIER_PULL_PATIENCE";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "agent-settings-"));
});
afterEach(() => {
  delete process.env[OLD_NAME];
  rmSync(dir, { recursive: true, force: true });
});

/** The parts that gpu-agent makes of a command line; it does not start. */
async function partsOf(...args: string[]): Promise<AgentParts> {
  const before = SIGNALS.map((name) => process.listeners(name));
  let parts: AgentParts | undefined;
  await main(["--share", dir, "--state-dir", join(dir, "state"), "--log-level", "error", ...args], (made) => {
    parts = made;
    throw new CourierError("cancelled", "The test has seen the parts");
  });
  for (const [index, name] of SIGNALS.entries()) {
    const added = process.listeners(name).filter((listener) => before[index]?.includes(listener) !== true);
    for (const listener of added) process.off(name, listener);
  }
  if (parts === undefined) throw new Error(`No parts of ${args.join(" ")}`);
  return parts;
}

test.each([
  [[], 86_400_000],
  [["--pull-timeout", "60"], 60_000],
  [["--pull-patience", "60"], 60_000],
  [["--pull-patience", "60", "--pull-timeout", "5"], 5_000],
])("a pull fails with %j after %i ms without a new byte", async (args, timeoutMs) => {
  expect((await partsOf(...args)).pullLimits.pullTimeoutMs).toBe(timeoutMs);
});

test("the environment of version 0.1.0 still sets --pull-timeout", async () => {
  process.env[OLD_NAME] = "7";
  expect((await partsOf()).pullLimits.pullTimeoutMs).toBe(7_000);
});

test("--pull-rate and --pull-rate-skip hold back the pulls of a box, --pull-window may be repeated", async () => {
  const limits = ["--pull-rate", "50MB/s", "--pull-rate-skip", "registry.example:443,other:5000"];
  const { pullRate, pullWindows } = await partsOf(
    ...limits,
    "--pull-window",
    "Fri 20:00-06:00",
    "--pull-window",
    "1:00-2:00",
  );
  expect(pullRate).toMatchObject({ bytesPerSecond: 50e6, skipped: ["registry.example", "other:5000"] });
  expect(pullWindows.map(({ startMinutes }) => startMinutes)).toEqual([1200, 60]);
  expect(await partsOf()).toMatchObject({ pullRate: null, pullWindows: [] });
});

test("the variable of --pull-window takes several windows", async () => {
  process.env["GPU_COURIER_PULL_WINDOW"] = "Mon,Wed 20:00-06:00,TZ=Europe/Berlin Sat,Sun 00:00-24:00";
  try {
    expect((await partsOf()).pullWindows.length).toBe(2);
  } finally {
    delete process.env["GPU_COURIER_PULL_WINDOW"];
  }
});

test("--label may be repeated, and separated by commas as in the environment", async () => {
  const { labels } = await partsOf("--label", "site=berlin,rack=b/12", "--label", "owner=vision");
  expect(labels).toEqual({ site: "berlin", rack: "b/12", owner: "vision" });
  expect((await partsOf()).labels).toEqual({});
});

test.each([
  [[], "hf.co/me/a:b", true],
  [[], "registry.example/me/a:b", false],
  [["--insecure-registry", "registry.example:5000"], "registry.example:5000/me/a:b", true],
  [["--insecure-registry", "registry.example:5000"], "hf.co/me/a:b", true],
  [["--allow-registry", "registry.example,r2.example"], "r2.example/me/a:b", true],
  [["--allow-registry", "registry.example"], "hf.co/me/a:b", false],
  [["--allow-registry", "*"], "registry.example/me/a:b", true],
])("with %j a pull of %s is allowed: %p", async (args, model, isAllowed) => {
  const { registries } = await partsOf(...args);
  const check = (): void => registries.requireAllowed(model);
  if (isAllowed) expect(check).not.toThrow();
  else expect(check).toThrow(expect.objectContaining({ code: "forbidden" }));
});

test("flags become the agent's parts", async () => {
  const parts = await partsOf("--name", "gpu-7", "--preflight", "off", "--protect", "phi4,me/*", "--list-ttl", "5");
  expect(parts).toMatchObject({ registry: null, protect: ["phi4", "me/*"], listTtlMs: 5_000, changeTtlMs: 86_400_000 });
  expect([parts.identity.agent, parts.maxPulls, parts.sharedInbox]).toEqual(["gpu-7", 1, "auto"]);
});

test.each([
  [[], "off", null],
  [["--trusted-keys", "/etc/keys"], "changing", "/etc/keys"],
  [["--trusted-keys", "/etc/keys", "--require-signatures", "warn"], "warn", "/etc/keys"],
  [["--trusted-keys", "/etc/keys", "--require-signatures", "off"], "off", "/etc/keys"],
  [["--operator-keys", "/etc/operators"], "changing", null],
  [["--operator-keys", "/etc/operators", "--require-signatures", "all"], "all", null],
] as const)("%j requires signatures in mode %s", async (args, requireSignatures, trustedKeys) => {
  expect(await partsOf(...args)).toMatchObject({ requireSignatures, trustedKeys });
});

test("--operator-keys names the operators, and the roster is kept in the state directory", async () => {
  expect((await partsOf("--operator-keys", "/etc/operators")).operators).toEqual({
    keys: "/etc/operators",
    roster: join(dir, "state", "roster.json"),
  });
  expect((await partsOf()).operators).toBeNull();
});

test("signatures cannot be required without trusted keys", async () => {
  const args = ["--share", dir, "--state-dir", join(dir, "state"), "--require-signatures", "all"];
  const agent = Bun.spawnSync([process.execPath, join(import.meta.dir, "../../src/agent.ts"), ...args]);
  expect([agent.exitCode, agent.stderr.toString().includes("--trusted-keys")]).toEqual([64, true]);
});

test("--mirror-source makes a box fetch into the mirror, at a rate that can be read", async () => {
  expect((await partsOf()).mirrorSource).toBeNull();
  expect((await partsOf("--mirror-source", "--fetch-rate", "50MB/s")).mirrorSource).toBeInstanceOf(MirrorSource);
  const args = ["--share", dir, "--state-dir", join(dir, "state"), "--mirror-source", "--fetch-rate", "fast"];
  const agent = Bun.spawnSync([process.execPath, join(import.meta.dir, "../../src/agent.ts"), ...args]);
  expect([agent.exitCode, agent.stderr.toString().includes("50MB/s")]).toEqual([64, true]);
});

test.each([
  [["--fetch-rate", "50MB/s"], "--mirror-source"],
  [["--pull-rate-skip", "hf.co"], "--pull-rate"],
] as const)("%j is refused without %s", (args, needed) => {
  for (const verb of ["run", "doctor"]) {
    const given = [verb, "--share", dir, "--state-dir", join(dir, "state"), ...args];
    const agent = Bun.spawnSync([process.execPath, join(import.meta.dir, "../../src/agent.ts"), ...given]);
    const message = `${args[0]} has no effect without ${needed}`;
    expect([agent.exitCode, agent.stderr.toString().includes(message)]).toEqual([64, true]);
  }
});

test("--metrics-file takes only a name that node_exporter reads, and makes it absolute", async () => {
  expect((await partsOf("--metrics-file", join(dir, "box.prom"))).metricsFile).toBe(join(dir, "box.prom"));
  expect((await partsOf("--metrics-file", "box.prom")).metricsFile).toBe(join(process.cwd(), "box.prom"));
  expect((await partsOf()).metricsFile).toBeNull();
  const refused = await main(["--share", dir, "--metrics-file", join(dir, "box.txt")], () => expect.unreachable());
  expect(refused).toBe(64);
});
