// Files that must not go back to an earlier content after a power cut.
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { replaceFile } from "#src/trust/replace_file.ts";
import { offenders, readSources } from "#tests/support/architecture/sources.ts";

test("replaceFile() replaces a file as a whole, for its owner only, and throws the system's error", () => {
  const folder = mkdtempSync(join(tmpdir(), "replace-file-"));
  const path = join(folder, "boot");
  try {
    writeFileSync(path, "before, and longer\n");
    replaceFile(path, "after\n");
    expect([readFileSync(path, "utf8"), readdirSync(folder), statSync(path).mode & 0o777]).toEqual([
      "after\n",
      ["boot"],
      0o600,
    ]);
    mkdirSync(`${path}.new`);
    expect(() => replaceFile(path, "never\n")).toThrow("EISDIR");
    expect(readFileSync(path, "utf8")).toBe("after\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a file that is synced and renamed has its folder synced too: only replaceFile() does that", async () => {
  const sources = (await readSources("src/**/*.ts")).filter(({ path }) => !path.startsWith("src/transport/"));
  const renamesSynced = offenders(sources, ({ text }) =>
    /\bfsyncSync\(|flush: true/.test(text) && text.includes("renameSync(") ? ["renameSync"] : [],
  );
  expect(renamesSynced).toEqual(["src/trust/replace_file.ts: renameSync"]);
});
