// Pulls that are cancelled, restarted or lose a layer on the way: with the simulated Ollama, and with a real one when
// OLLAMA_TEST_URL names it.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describePulls, expectSteady, MB, report, SIZE } from "./subjects.ts";

describePulls((current) => {
  test("a job that is cancelled at 30 % ends within 3 s, and the next pull continues from there", async () => {
    const site = current();
    const model = `t${Bun.randomUUIDv7().slice(-12)}`;
    const name = site.registry.offer(model, { layers: [SIZE], bytesPerSecond: 10 * MB });
    const first = site.jobs.pull(name);
    await site.reaches(first, SIZE * 0.3);
    const askedAtMs = performance.now();
    const cancelled = await site.jobs.cancelJob(first.id ?? "");
    expect(performance.now() - askedAtMs).toBeLessThan(3000);
    expect(cancelled).toMatchObject({ state: "cancelled", code: "cancelled" });
    expect(cancelled.error).toContain("the next pull continues from there");
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
    const site = current();
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
    const site = current();
    const model = `t${Bun.randomUUIDv7().slice(-12)}`;
    const name = site.registry.offer(model, { layers: [SIZE], bytesPerSecond: 10 * MB });
    const job = site.jobs.pull(name);
    await site.reaches(job, SIZE * 0.3);
    await site.stop();
    site.reopen();
    const cancelled = await site.jobs.cancelJob(job.id ?? "");
    expect(cancelled.error).toContain("downloaded data remains on disk");
    expect(cancelled.partial_bytes ?? 0).toBeWithin(SIZE * 0.25, SIZE * 0.6);
  });

  test("a layer with wrong bytes that Ollama believes, since an interrupted pull had finished it, is fetched again", async () => {
    const site = current();
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
    const site = current();
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
    expect([...site.notes].join("\n")).toContain("was removed during the pull");
    for (const digest of site.registry.digests(`${content}-b`)) {
      expect(existsSync(join(site.subject.modelsDir, "blobs", digest.replace(":", "-")))).toBe(true);
    }
    expect(site.registry.served(`${content}-b`).bytes).toBeLessThanOrEqual((SIZE + MB) * 1.1);
  });

  test("a job goes on where it was when the agent is killed, and its progress never goes back", async () => {
    const site = current();
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
});
