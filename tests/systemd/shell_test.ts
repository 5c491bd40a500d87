// The shell scripts of the checkout: a POSIX shell can read them, and shellcheck has no complaints.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { readSources } from "#tests/support/architecture/sources.ts";
import { ROOT } from "../../scripts/binaries.ts";

const scripts = (await readSources("{.*,.*/**,**}")).filter(({ text }) => /^#!\S*[ /](?:ba)?sh\b/.test(text));
const posix = scripts.filter(({ text }) => text.startsWith("#!/bin/sh"));

async function complaints(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  const output = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return (await child.exited) === 0 ? output.join("") : output.join("") || "failed";
}

test("install.sh is one of the scripts", () => {
  expect(posix.map(({ path }) => path)).toContain("install.sh");
});

test.each(scripts.map(({ path }) => path))("shellcheck accepts %s", async (path) => {
  expect(await complaints(["shellcheck", "--external-sources", "--severity=style", path])).toBe("");
});

test.each(posix.map(({ path }) => path))("dash reads %s", async (path) => {
  expect(await complaints(["dash", "-n", join(ROOT, path)])).toBe("");
});

test("only the last line of install.sh runs anything: half a file does nothing", () => {
  const { text = "" } = posix.find(({ path }) => path === "install.sh") ?? {};
  expect(text.trimEnd().split("\n").at(-1)).toBe('main "$@"');
});
