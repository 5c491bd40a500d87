// Real agents and senders while nats-server is killed, stopped in its tracks and cut off: nothing is lost, nothing is done twice.
// NATS_FAULTS=long cuts for a minute each, and kills more often.
import { expect, test } from "bun:test";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fillDisk, mountMemory } from "#tests/long/chaos/folders.ts";
import { run } from "#tests/support/debian.ts";
import { NatsServer } from "#tests/support/nats/nats_server.ts";
import { until } from "#tests/support/until.ts";
import { AGENTS, FaultSite } from "./faults/site.ts";
import { describeTally, Load, type Task } from "./faults/tasks.ts";

const isLong = process.env["NATS_FAULTS"] === "long";
const COMMANDS = 1_000;
const [CUT_MS, PAUSED_MS] = isLong ? [60_000, 40_000] : [6_000, 5_500];
/** Connections that are cut for long are noticed, and dialed again. */
const RECOVERY_MS = isLong ? 15_000 : 1_000;
const KILLS = isLong ? 10 : 3;
const BETWEEN_KILLS_MS = 1_500;
const SPREAD_MS = KILLS * BETWEEN_KILLS_MS + PAUSED_MS + 2 * CUT_MS + 3 * RECOVERY_MS;
const TIMEOUT_MS = 4_000;

/** The long form stores more than the short one: it must not fill it by itself. */
const DISK_BYTES = (isLong ? 128 : 8) * 1024 * 1024;
const FULL_MS = isLong ? 20_000 : 2_000;
/** The disk stays full until as many commands were refused. */
const REFUSED = 3;
const ON_FULL_DISK = isLong ? 400 : 100;

const TASKS = Array.from({ length: COMMANDS }, (_, number): Task => {
  const agent = AGENTS[number % AGENTS.length] ?? AGENTS[0];
  return { agent, verb: number % 10 < 2 ? "pull_model" : "delete_model", model: `m${number}:latest` };
});

test(`${COMMANDS} changing commands while nats-server is killed, stopped and cut off: 0 lost, 0 doubled`, async () => {
  const nats = await NatsServer.start();
  let site: FaultSite | undefined;
  try {
    site = await FaultSite.open({ tasks: TASKS, timeoutMs: TIMEOUT_MS, ports: [nats.port] });
    const { fronts, asks } = site;
    const load = new Load({ fronts, asks, lanes: 12, timeoutMs: TIMEOUT_MS, spreadMs: SPREAD_MS });
    const beganAtMs = performance.now();
    const [tally] = await Promise.all([load.run(TASKS), breakAll(nats, site)]);
    const seconds = (performance.now() - beganAtMs) / 1000;
    process.stderr.write(`${describeTally(COMMANDS, tally)}, in ${seconds.toFixed(0)} s\n`);
    expect([tally.lost, tally.doubled]).toEqual([[], []]);
    // The faults did hit.
    expect(tally.notSent).toBeGreaterThan(10);
  } finally {
    nats.resume();
    await site?.close();
    await nats.stop();
  }
}, 600_000);

test("changing commands while the disk of nats-server fills up and is freed: 0 lost, 0 doubled", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gpu-courier-nats-disk-"));
  await mountMemory(dir, DISK_BYTES);
  const tasks = TASKS.slice(0, ON_FULL_DISK);
  const nats = await NatsServer.start({ dir });
  let site: FaultSite | undefined;
  try {
    site = await FaultSite.open({ tasks, timeoutMs: TIMEOUT_MS, ports: [nats.port] });
    const { fronts, asks } = site;
    const load = new Load({ fronts, asks, lanes: 4, timeoutMs: TIMEOUT_MS, spreadMs: FULL_MS + 2 * RECOVERY_MS });
    const [tally] = await Promise.all([load.run(tasks), fillAndFree(nats, dir, load)]);
    process.stderr.write(`${describeTally(tasks.length, tally)}\n`);
    expect([tally.lost, tally.doubled]).toEqual([[], []]);
    expect(tally.notSent).toBeGreaterThanOrEqual(REFUSED);
  } finally {
    await site?.close();
    await nats.stop();
    await run(["umount", dir]);
    rmdirSync(dir);
  }
}, 300_000);

async function fillAndFree(nats: NatsServer, dir: string, load: Load): Promise<void> {
  await Bun.sleep(RECOVERY_MS);
  const free = fillDisk(dir);
  await Bun.sleep(FULL_MS);
  // Files that are on the disk already still take some entries, and a busy machine sends little in that time.
  await until(() => load.notSent >= REFUSED, 60_000);
  free();
  // After one failed write it stores nothing more in that stream until it is started again.
  await nats.restart();
}

/** One fault after the other. */
async function breakAll(nats: NatsServer, { agentLine, senderLine }: FaultSite): Promise<void> {
  for (let kill = 0; kill < KILLS; kill++) {
    await Bun.sleep(BETWEEN_KILLS_MS);
    await nats.restart();
  }
  for (const line of [agentLine, senderLine]) {
    await Bun.sleep(RECOVERY_MS);
    line.cut();
    await Bun.sleep(CUT_MS);
    line.restore();
  }
  await Bun.sleep(RECOVERY_MS);
  await nats.pause();
  await Bun.sleep(PAUSED_MS);
  nats.resume();
}
