// The shell scripts of the checkout: whether a POSIX shell takes them, and what shellcheck says. Imports the sources.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { readSources } from "#tests/support/sources.ts";
import { ROOT } from "../../scripts/binaries.ts";

const scripts = (await readSources("{.*,.*/**,**}")).filter(({ text }) => /^#!\S*[ /](?:ba)?sh\b/.test(text));
const posix = scripts.filter(({ text }) => text.startsWith("#!/bin/sh"));

async function complaints(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  const said = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return (await child.exited) === 0 ? said.join("") : said.join("") || "failed";
}

test("install.sh is among them", () => {
  expect(posix.map(({ path }) => path)).toContain("install.sh");
});

test.each(scripts.map(({ path }) => path))("shellcheck has nothing to say of %s", async (path) => {
  expect(await complaints(["shellcheck", "--severity=style", join(ROOT, path)])).toBe("");
});

test.each(posix.map(({ path }) => path))("dash reads %s", async (path) => {
  expect(await complaints(["dash", "-n", join(ROOT, path)])).toBe("");
});

test("the last line of install.sh is all that runs: half a file does nothing", () => {
  const { text = "" } = posix.find(({ path }) => path === "install.sh") ?? {};
  expect(text.trimEnd().split("\n").at(-1)).toBe('main "$@"');
});
