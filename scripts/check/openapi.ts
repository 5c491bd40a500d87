// Lints /openapi.json as gpu-server serves it with Redocly's recommended rules: no error and no warning.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openServer } from "#tests/support/sites/server_fixture.ts";

const ROOT = join(import.meta.dir, "..", "..");
const CLI = join(ROOT, "node_modules/.bin/redocly");
/** It sends nothing and looks for no newer release. */
const OFFLINE = { REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" };

async function writeDocument(path: string): Promise<void> {
  await using server = await openServer({ reached: false });
  const { body } = await server.call("GET", "/openapi.json", { token: null });
  writeFileSync(path, JSON.stringify(body, null, 2));
}

/** @returns what it found, and whether that is nothing */
async function lint(path: string) {
  const command = [process.execPath, CLI, "lint", path, "--config", join(ROOT, "redocly.yaml"), "--format=json"];
  const linter = Bun.spawn(command, {
    env: { ...process.env, ...OFFLINE },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [found, said] = await Promise.all([linter.stdout.text(), linter.stderr.text()]);
  const isOk = (await linter.exited) === 0 && /"totals":\s*{\s*"errors": 0,\s*"warnings": 0/.test(found);
  return { isOk, text: `${found}${said}` };
}

const folder = mkdtempSync(join(tmpdir(), "gpu-courier-openapi-"));
try {
  const path = join(folder, "openapi.json");
  await writeDocument(path);
  const { isOk, text } = await lint(path);
  if (!isOk) console.log(text);
  process.exitCode = isOk ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
