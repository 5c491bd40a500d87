// The chaos test on NFS 4.2, whose server stops and whose network is cut: minutes for each seed. CHAOS_SEEDS=n plays n seeds, SEED=n
// that one.
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { watchRuns } from "#tests/long/chaos/watch.ts";

/** On the disk: what is in memory the server cannot export. */
const DIR = "/disk/chaos";
const SEED_MS = 600_000;

const [given, count] = [process.env["SEED"], process.env["CHAOS_SEEDS"]];
const first = given === undefined ? Math.floor(Math.random() * 1_000_000) : Number(given);
const seeds = Array.from({ length: Number(count ?? 1) }, (_, index) => first + index);

test(
  "no work is lost, doubled or reordered on NFSv4.2 under random faults",
  async () => {
    mkdirSync(DIR, { recursive: true });
    const command = ["c1", "env", `TMPDIR=${DIR}`, "bun", join(import.meta.dir, "guest/chaos.ts")];
    const anomalies = await watchRuns(command, seeds, textOf);
    expect(anomalies).toEqual([]);
  },
  SEED_MS * seeds.length,
);

/** The logs, which end with the virtual machine. */
function textOf(logs: string): string {
  const texts = readdirSync(logs).map((name) => `==== ${name}\n${readFileSync(join(logs, name), "utf8")}`);
  return texts.join("");
}
