// THIRD_PARTY_LICENSES of a release: the license and the notices of each package in its programs.
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import lock from "../../package-lock.json" with { type: "json" };
import { thirdPartyLicenses } from "../../scripts/release/licenses.ts";

const ROOT = join(import.meta.dir, "../..");

test("has each package that is no tool, and no tool", async () => {
  const text = await thirdPartyLicenses(ROOT);
  const packages = Object.entries(lock.packages).filter(([path]) => path !== "");
  const listed = packages.map(([path, entry]) => ({
    line: `${"=".repeat(80)}\n${path.replace(/^.*node_modules\//, "")} ${entry.version} (`,
    isTool: "dev" in entry && entry.dev,
  }));
  expect(listed.filter(({ line, isTool }) => text.includes(line) === isTool)).toEqual([]);
  expect(text).toStartWith(`${"=".repeat(80)}\nBun ${Bun.version} (MIT)`);
});

test("has the whole license and the notice of Swagger UI, which is in gpu-server", async () => {
  const text = await thirdPartyLicenses(ROOT);
  for (const name of ["LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"]) {
    const own = (await Bun.file(join(ROOT, "node_modules/swagger-ui-dist", name)).text()).trim();
    expect(own).not.toBe("");
    expect(text).toContain(own);
  }
});

test("is the same for the same release", async () => {
  expect(await thirdPartyLicenses(ROOT)).toBe(await thirdPartyLicenses(ROOT));
});

test("does not come to be without the text of a package", async () => {
  const root = await mkdtemp(join(tmpdir(), "gpu-courier-licenses-"));
  await Bun.write(join(root, "package-lock.json"), JSON.stringify({ packages: { "node_modules/bare": {} } }));
  await Bun.write(join(root, "node_modules/bare/package.json"), "{}");
  const error = await thirdPartyLicenses(root).catch((reason: unknown) => reason);
  expect(String(error)).toContain("node_modules/bare has no file with a license");
  await Bun.write(join(root, "node_modules/bare/COPYING"), "As you like\n");
  expect(await thirdPartyLicenses(root)).toContain("--- COPYING\n\nAs you like\n");
  await rm(root, { recursive: true });
});
