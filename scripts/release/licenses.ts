// The licenses of what the programs of a release hold: their texts and notices must travel with the programs.
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { compareTexts } from "#src/base/order.ts";

const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({ version: z.string().optional(), license: z.string().optional(), dev: z.boolean().optional() }),
  ),
});

const TEXTS = /licen[cs]e|notice|copying/i;
/** Packages that hold no text, with one of the same authors that does. */
const TEXT_OF: Readonly<Record<string, string>> = { "@hono/zod-openapi": "hono", "@hono/zod-validator": "hono" };
const LINE = "=".repeat(80);

/**
 * The text of `THIRD_PARTY_LICENSES`: of Bun, and of each package that is no tool, in order of names.
 * @param root of the checkout, with its `node_modules`
 * @throws Error when a package has no text, so that nothing is released without it
 */
export async function thirdPartyLicenses(root: string): Promise<string> {
  const { packages } = Lock.parse(await Bun.file(join(root, "package-lock.json")).json());
  const parts = [describeBun()];
  for (const [path, { version = "", license = "", dev = false }] of Object.entries(packages).toSorted(([a], [b]) =>
    compareTexts(a, b),
  )) {
    if (path === "" || dev) continue;
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    parts.push(`${name} ${version} (${license})\n\n${(await textsOf(root, path, name)).join("\n\n")}`);
  }
  return parts.map((part) => `${LINE}\n${part}\n`).join("\n");
}

async function textsOf(root: string, path: string, name: string): Promise<readonly string[]> {
  const own = await readTexts(join(root, path));
  if (own.length > 0) return own;
  const other = TEXT_OF[name];
  const texts = other === undefined ? [] : await readTexts(join(root, "node_modules", other));
  if (texts.length === 0)
    throw new Error(`${path} has no file with a license: name a package of its authors in TEXT_OF`);
  return [`This package holds no text. That of ${other ?? ""}, by the same authors:`, ...texts];
}

async function readTexts(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder)).filter((name) => TEXTS.test(name)).toSorted();
  return await Promise.all(
    names.map(async (name) => `--- ${basename(name)}\n\n${(await Bun.file(join(folder, name)).text()).trim()}`),
  );
}

function describeBun(): string {
  return [
    `Bun ${Bun.version} (MIT), revision ${Bun.revision}`,
    "",
    "Every program holds Bun, which links JavaScriptCore and WebKit (LGPL-2) and other libraries statically.",
    "LICENSE.md in https://github.com/oven-sh/bun lists them with their licenses, and shows how to link Bun with a",
    "changed WebKit.",
  ].join("\n");
}
