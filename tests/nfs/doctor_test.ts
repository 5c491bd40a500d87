// gpuctl doctor on a healthy share, and on shares with a fault.
import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Check } from "#src/base/check.ts";
import { report } from "#tests/nfs/guest/figures.ts";
import { type Client, run } from "#tests/nfs/guest/machines.ts";
import { FULL, VERSIONS, type Version } from "#tests/nfs/guest/scope.ts";
import { NetworkSite } from "#tests/nfs/guest/site.ts";
import { until } from "#tests/process/site/site.ts";

/** Run once, as for programs: a process more takes the emulated machine seconds. What people would read goes to the log. */
async function examine(site: NetworkSite, client: Client, title: string) {
  const { status, stdout, stderr } = await site.gpuctl(client, "doctor", "--json");
  expect(stderr).toBe("");
  const { result, checks }: { result: string; checks: readonly Check[] } = JSON.parse(stdout);
  const lines = checks.map(({ check, subject, result: how, message, hint }) => {
    return `    ${how} ${check} ${subject ?? ""}: ${message}${hint === null ? "" : `\n        ${hint}`}`;
  });
  report(`${title}: gpuctl doctor, exit status ${status}\n${lines.join("\n")}`);
  const failed = checks.filter((check) => check.result === "failed");
  const failures = failed.map(({ check, subject }) => (subject === null ? check : `${check} ${subject}`));
  return { status, result, checks, failures, failed };
}

/** The checks that are not ok on every share of this version: the doctor advises against version 3. */
const ADVICE: Readonly<Record<Version, readonly object[]>> = {
  "3": [{ check: "mount_options", subject: "vers=3", result: "warning" }],
  "4.2": [],
};

describe.each(FULL ? VERSIONS : VERSIONS.slice(-1))("NFSv%s", (version) => {
  test("a good share, then nocto, read-only and not mounted on another machine", async () => {
    await using site = await NetworkSite.open("doctor", version, ["c1", "c2"]);
    await site.agent("c1", "gpu-1", await site.ollama());
    await until(() => site.state("gpu-1")["models"] !== null, "the agent knows its models");
    const good = await examine(site, "c2", `NFSv${version}, a good share`);
    expect([good.status, good.failures]).toEqual([0, []]);
    expect(good.checks.filter(({ result }) => result !== "ok")).toMatchObject(ADVICE[version]);
    const text = await site.gpuctl("c2", "doctor");
    const summary = version === "3" ? /\b1 warning, 0 failed/ : /\b0 warnings, 0 failed/;
    expect([text.status, text.stderr, text.stdout]).toEqual([0, "", expect.stringMatching(summary)]);
    report(text.stdout.replaceAll(/^(?=.)/gm, "    "));
    expect(good.checks).toContainEqual(expect.objectContaining({ check: "ping", subject: "gpu-1", result: "ok" }));
    await site.mount("c3", "nocto");
    const nocto = await examine(site, "c3", `NFSv${version}, mounted with nocto`);
    expect(nocto.status).toBe(1);
    expect(nocto.failures).toContain("mount_options nocto");
    await site.unmount("c3");
    await site.mount("c3", "ro");
    const readOnly = await examine(site, "c3", `NFSv${version}, mounted read-only`);
    expect([readOnly.status, readOnly.failures[0]]).toEqual([1, "mount"]);
    expect(readOnly.failed[0]?.message).toContain("read-only");
    await site.unmount("c3");
    const unmounted = await examine(site, "c3", `NFSv${version}, not mounted`);
    expect([unmounted.status, unmounted.failures]).toEqual([1, ["mount"]]);
    expect(unmounted.failed[0]?.message).toContain("not mounted?");
    expect((await run("c3", "find", site.share, "-mindepth", "1")).trim()).toBe("");
  }, 180_000);

  test("a share without an agent", async () => {
    await using site = await NetworkSite.open("nobody", version, ["c2"]);
    for (const folder of ["gpu_commands", "gpu_status"]) mkdirSync(join(site.folder, folder));
    const { status, checks } = await examine(site, "c2", `NFSv${version}, without an agent`);
    expect(checks.filter(({ result }) => result !== "ok")).toMatchObject([
      ...ADVICE[version],
      { check: "agent", result: "warning" },
    ]);
    expect(status).toBe(0);
  }, 60_000);
});

test("SMB 3.1.1: a good share, and what its options mean", async () => {
  await using site = await NetworkSite.open("doctor", "smb", ["c1", "c2"]);
  await site.agent("c1", "gpu-1", await site.ollama());
  await until(() => site.state("gpu-1")["models"] !== null, "the agent knows its models");
  const good = await examine(site, "c2", "SMB 3.1.1, a good share");
  expect([good.status, good.checks.filter(({ result }) => result !== "ok")]).toEqual([0, []]);
  const options = good.checks.filter(({ check }) => check === "mount_options").map(({ subject }) => subject);
  expect(options).toEqual([null, "soft"]);
  await site.mount("c3", "cache=loose,actimeo=60");
  const loose = await examine(site, "c3", "SMB 3.1.1, mounted with cache=loose,actimeo=60");
  expect(loose.failures).toContain("mount_options cache=loose");
  expect(loose.checks).toContainEqual(expect.objectContaining({ subject: "actimeo=60", result: "warning" }));
}, 120_000);
