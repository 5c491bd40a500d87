// A disk that is really too small: refused before the first byte with the figures; forced, the failure names the disk, and
// the agent lives. Mounts a small file system, as root or in a user namespace: where neither may be, it fails.
import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";

/** What tests/process/site/small_disk.ts prints. */
// oxlint-disable-next-line typescript/no-explicit-any -- documents of three entry points
let seen: any;

beforeAll(async () => {
  // Root gets ext4 on a loop device; a user namespace allows tmpfs alone, which is as full when it is full.
  const isRoot = process.getuid?.() === 0;
  const apart = isRoot ? ["unshare", "--mount"] : ["unshare", "--mount", "--map-root-user"];
  const script = join(import.meta.dir, "../../process/site/small_disk.ts");
  const child = Bun.spawn([...apart, process.execPath, script, isRoot ? "ext4" : "tmpfs"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 60_000,
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`No small disk was tried: this test has to mount one.\n${stderr}`);
  seen = JSON.parse(stdout);
}, 70_000);

const FIGURES = /60\.0 MB needed and 1\.0 MB in reserve, \d\d\.\d MB free in \S+\/disk\/models\/blobs/;

describe("a model larger than the disk", () => {
  test("is refused before the first byte, with the figures", () => {
    expect(seen.refused.status).toBe(75);
    expect(seen.refused.stderr).toMatch(FIGURES);
    expect(seen.refused.stderr).toContain("--force");
    const [job] = seen.answered.answer.jobs;
    expect([seen.answered.status, job.state, job.code]).toEqual([202, "failed", "exhausted"]);
    expect(job.error).toMatch(FIGURES);
    expect(seen.beforeFirstByte).toEqual({ pulls: 0, freedBytes: 0, served: 0 });
  });

  test("that a legacy backend asks for is a job that failed, with the figures", () => {
    expect(seen.old.success).toBe(true);
    expect(seen.legacyJob).toMatchObject({ state: "failed", code: "exhausted" });
    expect(seen.legacyJob.error).toMatch(FIGURES);
  });

  test("fails with the disk's name when forced, as far as the disk goes", () => {
    const full = `${seen.modelsDir}/blobs/sha256-`;
    expect(seen.forced.status).toBe(75);
    expect(seen.forced.stderr).toContain("no space left on device");
    expect(seen.forced.stderr).toContain(full);
    expect(seen.full).toBeLessThan(1_000_000);
    const [begun] = seen.answer.jobs;
    expect(begun.total_bytes).toBeGreaterThan(60_000_000);
    expect(begun.note).toMatch(
      /^forced: \d\d\.\d MB needed \(\d\d\.\d MB of 60\.0 MB is present\) and 1\.0 MB in reserve, /,
    );
    expect(seen.ended).toMatchObject({ state: "failed", code: "exhausted" });
    expect(seen.ended.error).toContain(full);
    expect(seen.pulls).toBe(2);
  });

  test("leaves the agent alive", () => {
    expect(seen.alive).toMatchObject({ ping: { status: 0 }, list: { status: 0 } });
  });
});
