// What a pull shows, how it ends and what it leaves when its registry misbehaves: with the simulated Ollama, and with a real
// one when OLLAMA_TEST_URL names it.
import { expect, test } from "bun:test";
import type { RegistryFault } from "#sim/registry/faults.ts";
import type { Job } from "#src/protocol.ts";
import { until } from "#tests/support/until.ts";
import { describePulls, expectSteady, MB, report, SIZE } from "./subjects.ts";

interface Row {
  readonly what: string;
  readonly fault: RegistryFault | null;
  readonly bytesPerSecond?: number;
  /** Healed once the job has shown why it waits. */
  readonly healed?: boolean;
  readonly ends: Pick<Job, "state" | "code">;
  readonly note?: RegExp;
  readonly error?: RegExp;
  /** What Ollama fetched at most, in sizes of the model. */
  readonly fetched: number;
  /** The bytes left on disk, in sizes of the model. */
  readonly left?: number;
}

const succeeds = { state: "succeeded", code: null } as const;
const HALF = SIZE / 2;

const ROWS: readonly Row[] = [
  { what: "slow", fault: null, bytesPerSecond: 8 * MB, ends: succeeds, fetched: 1 },
  {
    what: "stalled and healed",
    fault: { kind: "stall", atByte: HALF },
    healed: true,
    ends: succeeds,
    note: /^retrying in \d+ s: .*made no progress for/,
    fetched: 1,
  },
  {
    what: "cut in mid-blob and healed",
    fault: { kind: "cut", atByte: HALF },
    healed: true,
    ends: succeeds,
    fetched: 1.6,
  },
  {
    what: "500 on the manifest and healed",
    fault: { kind: "manifest", status: 500 },
    healed: true,
    ends: succeeds,
    note: /^retrying in \d+ s: .* says: pull model manifest: status 500\n/,
    fetched: 1,
  },
  {
    what: "500 on the blob and healed",
    fault: { kind: "blob", status: 500 },
    healed: true,
    ends: succeeds,
    note: /^retrying in \d+ s: .* says: /,
    fetched: 1,
  },
  {
    what: "500 on the data and healed",
    fault: { kind: "data", status: 500 },
    healed: true,
    ends: succeeds,
    note: /^retrying in \d+ s: /,
    fetched: 1,
  },
  {
    what: "wrong bytes once",
    fault: { kind: "wrong", times: 1 },
    ends: succeeds,
    note: /^retrying in \d+ s: .*digest mismatch/,
    fetched: 2,
  },
  {
    what: "wrong bytes always",
    fault: { kind: "wrong", times: 1000 },
    ends: { state: "failed", code: "unavailable" },
    error: /digest mismatch.*for the second time\. The registry or the network changed bytes$/,
    fetched: 2,
    left: 0,
  },
  {
    what: "404 on the manifest",
    fault: { kind: "manifest", status: 404 },
    ends: { state: "failed", code: "not_found" },
    error: /says: pull model manifest: file does not exist\. The registry has no such model: check the name and tag/,
    fetched: 0,
  },
  {
    what: "401 on the manifest",
    fault: { kind: "manifest", status: 401 },
    ends: { state: "failed", code: "forbidden" },
    error: /The registry asks for a login: the model is private, or its name is misspelled$/,
    fetched: 0,
  },
];

describePulls((current) => {
  test.each(ROWS.map((row) => [row.what, row] as const))("a pull whose registry is %s", async (what, row) => {
    const site = current();
    const model = `t${Bun.randomUUIDv7().slice(-12)}`;
    const name = site.registry.offer(model, { layers: [SIZE], bytesPerSecond: row.bytesPerSecond ?? 20 * MB });
    site.registry.break(model, row.fault === null ? null : { ...row.fault });
    const beganAtMs = performance.now();
    const { id } = site.jobs.pull(name);
    if (row.healed === true) {
      await until(() => (site.job(id).retries ?? 0) > 0, site.subject.limitMs);
      site.registry.break(model, null);
    }
    const job = await site.ended(site.job(id));
    const seconds = Math.round((performance.now() - beganAtMs) / 100) / 10;
    const { bytes, closed } = site.registry.served(model);
    report([what, `${job.state} ${job.code ?? ""}`, `${seconds} s`, job.retries, bytes / SIZE, job.partial_bytes]);
    report([...site.notes, job.error]);
    expect(job).toMatchObject(row.ends);
    if (row.note !== undefined) expect([...site.notes].join("\n")).toMatch(row.note);
    if (row.error !== undefined) expect(job.error).toMatch(row.error);
    expect(site.fetchedBytes(model) / SIZE).toBeLessThanOrEqual(row.fetched * (1 + site.subject.excess) + 0.001);
    expect(closed).toBeLessThanOrEqual(job.retries ?? 0);
    if (row.left !== undefined) expect((job.partial_bytes ?? 0) / SIZE).toBeWithin(row.left, row.left + 0.01);
    expectSteady(site.shown);
    if (job.state === "succeeded") expect(job).toMatchObject({ note: null, phase: null, partial_bytes: null });
  });
});
