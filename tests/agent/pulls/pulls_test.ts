// What a pull shows, how it ends and what it leaves when its registry misbehaves: with the simulated Ollama, and with a real
// one when OLLAMA_TEST_URL names it.
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RegistryFault } from "#sim/registry/faults.ts";
import { isEnded, type Job } from "#src/protocol.ts";
import { PullSite, realSubject, type Subject, simulatedSubject } from "#tests/support/sites/pull_site.ts";
import { until } from "#tests/support/until.ts";

const MB = 1_000_000;
const SIZE = 20 * MB;

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
    note: /^retrying in \d+ s: .* says: pull model manifest: 500: boom/,
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

function suite(open: () => Promise<Subject>): void {
  let site: PullSite;
  beforeEach(async () => {
    site = await PullSite.open(await open());
    setDefaultTimeout(site.subject.limitMs + 10_000);
  });
  afterEach(async () => await site.close());

  test.each(ROWS.map((row) => [row.what, row] as const))("a pull whose registry is %s", async (what, row) => {
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

  test("a job that is cancelled at 30 % ends within 3 s, and the next pull goes on from there", async () => {
    const model = `t${Bun.randomUUIDv7().slice(-12)}`;
    const name = site.registry.offer(model, { layers: [SIZE], bytesPerSecond: 10 * MB });
    const first = site.jobs.pull(name);
    await site.reaches(first, SIZE * 0.3);
    const askedAtMs = performance.now();
    const cancelled = await site.jobs.cancelJob(first.id ?? "");
    expect(performance.now() - askedAtMs).toBeLessThan(3000);
    expect(cancelled).toMatchObject({ state: "cancelled", code: "cancelled" });
    expect(cancelled.error).toContain("the next pull goes on from there");
    expect(site.registry.served(model)).toMatchObject({ open: 0 });
    expect(site.registry.served(model).closed).toBeGreaterThan(0);
    expect(cancelled.partial_bytes ?? 0).toBeWithin(SIZE * 0.25, SIZE * 0.6);
    const served = site.registry.served(model).bytes;
    site.registry.setSpeed(model, Infinity);
    const second = await site.ended(site.jobs.pull(name));
    expect(second.id).not.toBe(first.id);
    expect(second.state).toBe("succeeded");
    report(["cancelled at 30 %", cancelled.partial_bytes, served, site.registry.served(model).bytes / SIZE]);
    expect(site.fetchedBytes(model)).toBeLessThanOrEqual(SIZE * (1 + site.subject.excess));
  });

  test("a pull right after a cancel works, and the two never share an end", async () => {
    const model = `t${Bun.randomUUIDv7().slice(-12)}`;
    const name = site.registry.offer(model, { layers: [SIZE], bytesPerSecond: 20 * MB });
    const first = site.jobs.pull(name);
    await site.reaches(first, SIZE * 0.2);
    const cancelled = site.jobs.cancelJob(first.id ?? "");
    const second = site.jobs.pull(name);
    expect(second.id).not.toBe(first.id);
    expect((await cancelled).state).toBe("cancelled");
    expect((await site.ended(second)).state).toBe("succeeded");
  });

  test("a job that is cancelled after a restart, before it goes on, shows the bytes that remain of it", async () => {
    const model = `t${Bun.randomUUIDv7().slice(-12)}`;
    const name = site.registry.offer(model, { layers: [SIZE], bytesPerSecond: 10 * MB });
    const job = site.jobs.pull(name);
    await site.reaches(job, SIZE * 0.3);
    await site.stop();
    site.reopen();
    const cancelled = await site.jobs.cancelJob(job.id ?? "");
    expect(cancelled.error).toContain("what was fetched remains on disk");
    expect(cancelled.partial_bytes ?? 0).toBeWithin(SIZE * 0.25, SIZE * 0.6);
  });

  test("a layer with wrong bytes that Ollama believes, since an interrupted pull had finished it, is fetched again", async () => {
    const model = `t${Bun.randomUUIDv7().slice(-12)}`;
    const name = site.registry.offer(model, { layers: [2 * MB, SIZE], bytesPerSecond: 10 * MB });
    site.registry.break(model, { kind: "wrong", times: 1 });
    const job = site.jobs.pull(name);
    await site.reaches(job, 6 * MB);
    await site.stop();
    site.reopen();
    site.jobs.start();
    site.registry.setSpeed(model, 20 * MB);
    // The second time that the bytes are wrong ends a job: they were wrong once. A busy machine may also stall it.
    const ended = await site.ended(job);
    expect([ended.state, ended.error]).toEqual(["succeeded", null]);
    expect(ended.retries).toBeGreaterThan(0);
    expect([...site.notes].join("\n")).toContain("digest mismatch");
    expect((await site.ollama.listModels()).map((each) => each.name)).toContain(name);
    for (const digest of site.registry.digests(model)) {
      const file = Bun.file(join(site.subject.modelsDir, "blobs", digest.replace(":", "-")));
      expect(`sha256:${new Bun.CryptoHasher("sha256").update(await file.bytes()).digest("hex")}`).toBe(digest);
    }
  });

  test("a layer that the delete of another model took away meanwhile is fetched again", async () => {
    const content = `t${Bun.randomUUIDv7().slice(-12)}`;
    const other = site.registry.offer(`${content}-a`, { layers: [MB], content });
    const name = site.registry.offer(`${content}-b`, { layers: [MB, SIZE], content, bytesPerSecond: 20 * MB });
    await site.ended(site.jobs.pull(other));
    const job = site.jobs.pull(name);
    // So late that no connection is opened again, at which Ollama would look again.
    await site.reaches(job, SIZE * 0.9);
    site.registry.setSpeed(`${content}-b`, 4 * MB);
    await site.ollama.deleteModel(other);
    expect(await site.ended(job)).toMatchObject({ state: "succeeded", retries: 1 });
    expect([...site.notes].join("\n")).toContain("was removed meanwhile");
    for (const digest of site.registry.digests(`${content}-b`)) {
      expect(existsSync(join(site.subject.modelsDir, "blobs", digest.replace(":", "-")))).toBe(true);
    }
    expect(site.registry.served(`${content}-b`).bytes).toBeLessThanOrEqual((SIZE + MB) * 1.1);
  });

  test("a job goes on where it was when the agent is killed, and its progress never goes back", async () => {
    const model = `t${Bun.randomUUIDv7().slice(-12)}`;
    const name = site.registry.offer(model, { layers: [SIZE, MB], bytesPerSecond: 10 * MB });
    const job = site.jobs.pull(name);
    await site.reaches(job, SIZE * 0.3);
    await site.stop();
    const before = site.job(job.id);
    expect(before.state).toBe("queued");
    site.reopen();
    site.jobs.start();
    const after = site.job(job.id);
    expect(after.completed_bytes).toBe(before.completed_bytes);
    expect(after.total_bytes).toBe(before.total_bytes);
    expect((await site.ended(job)).state).toBe("succeeded");
    expectSteady(site.shown.filter(({ id }) => id === job.id));
    expect(site.fetchedBytes(model)).toBeLessThanOrEqual((SIZE + MB) * (1 + site.subject.excess));
  });
}

/** Bytes only grow, over reconnects too, and are never more than the whole. */
function expectSteady(shown: readonly Job[]): void {
  const bytes = shown.map(({ completed_bytes }) => completed_bytes);
  expect(bytes).toEqual(bytes.toSorted((a, b) => a - b));
  expect(shown.every(({ completed_bytes, total_bytes }) => completed_bytes <= (total_bytes ?? Infinity))).toBe(true);
  expect(shown.filter((job) => isEnded(job)).length).toBeGreaterThan(0);
}

/** One row of the table that is also in docs/operations.md. */
function report(cells: readonly unknown[]): void {
  process.stderr.write(`| ${cells.join(" | ")} |\n`);
}

describe("pulls, simulated", () => suite(simulatedSubject));

const realUrl = process.env["OLLAMA_TEST_URL"];
if (realUrl !== undefined) describe(`pulls, real at ${realUrl}`, () => suite(async () => await realSubject(realUrl)));
