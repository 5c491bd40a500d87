// The doctor's checks of a mirror: what an operator should learn of it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import type { Check } from "#src/base/check.ts";
import { CourierError } from "#src/base/errors.ts";
import { formatModelName } from "#src/base/model_name.ts";
import { Mirror } from "#src/transport/mirror/mirror.ts";
import { examineMirror, type MirrorUnderExamination } from "#src/transport/mirror/reading/examine.ts";
import { type Mount, parseMounts } from "#src/transport/share/mount/table.ts";
import { digestOf, MirrorShare } from "#tests/support/sites/mirror_share.ts";

const PHI4 = "registry.ollama.ai/library/phi4/latest";
const NOW_MS = Date.parse("2026-11-28T00:00:00Z");

let site: MirrorShare;
beforeEach(() => {
  site = new MirrorShare();
});
afterEach(() => site[Symbol.dispose]());

async function checks(given: Partial<MirrorUnderExamination> = {}): Promise<Check[]> {
  const examined = { mirror: site.mirror, isRequired: false, isFilled: false, requireSigned: null, nowMs: NOW_MS };
  return await Array.fromAsync(examineMirror({ ...examined, mounts: [], ...given }));
}

async function results(given: Partial<MirrorUnderExamination> = {}): Promise<string[]> {
  return (await checks(given)).map(({ check, subject, result }) => [check, subject, result].filter(Boolean).join(" "));
}

/** The share on a mount with these options. */
function mountedOn(type: string, options: string): Mount[] {
  const { dev } = statSync(site.share);
  return parseMounts(`1 1 ${(dev >> 8) & 0xfff}:${dev & 0xff} / ${site.share} rw - ${type} //server/share ${options}`);
}

describe("examineMirror()", () => {
  test("counts a whole mirror, and makes no check of a share where no mirror is needed", async () => {
    expect(await results()).toEqual([]);
    site.mirrored(PHI4, ["config", "weights"]);
    expect(await checks()).toMatchObject([
      { check: "mirror", result: "ok", message: `1 model, 13 B in ${site.mirror.path}` },
    ]);
  });

  test("fails where a mirror is needed and missing, or its share is away", async () => {
    expect(await results({ isRequired: true })).toEqual(["mirror failed"]);
    const away = new Mirror(`${site.share}/away`);
    expect(await results({ mirror: away, isRequired: true })).toEqual(["mirror failed"]);
    writeFileSync(site.mirror.path, "no folder");
    expect(await results()).toEqual(["mirror failed"]);
  });

  test("makes no check of a share that cannot be read at all, unless the mirror is needed: its own checks do", async () => {
    writeFileSync(`${site.root}/file`, "");
    const unreadable = new Mirror(`${site.root}/file/share`);
    expect(await results({ mirror: unreadable })).toEqual([]);
    expect(await results({ mirror: unreadable, isFilled: true })).toEqual(["mirror failed"]);
  });

  test("shows whether it can be filled, and the space for that", async () => {
    expect((await results({ isFilled: true })).slice(0, 2)).toEqual(["mirror ok", "mirror_writable ok"]);
    expect((await checks({ isFilled: true })).at(-1)).toMatchObject({
      check: "mirror_space",
      message: expect.stringContaining(" free for "),
    });
  });

  test("fails where a folder in it cannot be written, or the share is away", async () => {
    site.mirrored(PHI4, ["config"]);
    expect((await results({ isFilled: true })).slice(0, 2)).toEqual(["mirror ok", "mirror_writable ok"]);
    writeFileSync(site.at(".tmp"), "");
    const [, writing] = await checks({ isFilled: true });
    const message = `${site.at(".tmp")} cannot be written: ENOTDIR`;
    expect(writing).toMatchObject({ check: "mirror_writable", result: "failed", message });
    const away = new Mirror(`${site.share}/away`);
    expect(await results({ mirror: away, isFilled: true })).toContain("mirror_writable failed");
  });

  test("names models with missing blobs, blobs of another size, and manifests that cannot be read", async () => {
    site.mirrored(PHI4, ["config", "weights"]);
    rmSync(site.at("blobs", digestOf("weights").replace(":", "-")));
    site.mirrored("registry.ollama.ai/library/small/latest", ["a small one"]);
    writeFileSync(site.at("blobs", digestOf("a small one").replace(":", "-")), "short");
    site.mirrored("registry.ollama.ai/library/torn/latest", ["torn"]);
    writeFileSync(site.at("manifests/registry.ollama.ai/library/torn/latest"), "{");
    site.mirrored("registry.ollama.ai/library/whole/latest", ["whole"]);
    expect(await results()).toEqual([
      "mirror ok",
      "mirror_model phi4:latest failed",
      "mirror_model small:latest failed",
      "mirror_model torn:latest failed",
    ]);
  });

  test("names no more than ten models of a kind", async () => {
    for (let count = 0; count < 15; count++)
      site.mirrored(`registry.ollama.ai/library/m${count}/latest`, [`m${count}`]);
    rmSync(site.at("blobs"), { recursive: true });
    const found = await checks();
    expect(found.filter(({ check }) => check === "mirror_model")).toHaveLength(11);
    expect(found.at(-1)?.message).toBe("5 more are incomplete");
  });

  test("names models that the box may not use, as it requires signatures", async () => {
    site.mirrored(PHI4, ["config"]);
    site.mirrored("registry.ollama.ai/library/signed/latest", ["signed"]);
    const requireSigned: MirrorUnderExamination["requireSigned"] = async ({ name }) => {
      if (formatModelName(name) === "phi4:latest")
        throw new CourierError("forbidden", "not signed", { hint: "Sign it" });
      return await Promise.resolve();
    };
    expect(await checks({ requireSigned })).toMatchObject([
      { check: "mirror" },
      { check: "mirror_signature", subject: "phi4:latest", result: "warning", message: "not signed", hint: "Sign it" },
    ]);
  });

  test("names unfinished files that are older than a week", async () => {
    site.mirrored(PHI4, ["config"]);
    mkdirSync(site.at(".tmp"));
    for (const [name, days] of [
      ["old", 8],
      ["young", 6],
    ] as const) {
      writeFileSync(site.at(".tmp", name), "x".repeat(1000));
      const at = new Date(NOW_MS - days * 86_400_000);
      utimesSync(site.at(".tmp", name), at, at);
    }
    expect(await checks()).toMatchObject([
      { check: "mirror" },
      { check: "mirror_partials", result: "warning", message: expect.stringContaining("1 unfinished file is") },
    ]);
  });

  test.each([
    ["cifs", "rw,vers=3.1.1,mapposix", []],
    ["smb3", "rw,vers=3.1.1,mapchars", []],
    ["cifs", "rw,vers=3.1.1,posix", []],
    ["cifs", "rw,vers=3.1.1", ["mirror_names warning"]],
    ["nfs4", "rw,vers=4.2", []],
  ])("on %s with %s, names with a colon are %j", async (type, options, expected) => {
    site.mirrored(PHI4, ["config"]);
    expect(await results({ mounts: mountedOn(type, options) })).toEqual(["mirror ok", ...expected]);
  });

  test("fails where another machine's names with a colon show as other characters", async () => {
    site.mirrored(PHI4, ["config"]);
    mkdirSync(site.at("manifests", "registry.example\u{f022}5000"), { recursive: true });
    const [, names] = await checks();
    expect(names).toMatchObject({ check: "mirror_names", result: "failed", hint: expect.stringContaining("mapposix") });
  });
});
