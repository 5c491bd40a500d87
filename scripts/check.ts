// `npm run check`: format, lint, types and plain English, all of them, with one exit status.
import { basename, join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const CHECKS = [
  { name: "format", command: [installed("biome"), "check", "--error-on-warnings"], fix: "npm run format" },
  { name: "lint", command: [installed("oxlint"), "--type-aware", "--deny-warnings"] },
  { name: "types", command: [installed("tsc"), "-p", "."] },
  { name: "page", command: [installed("tsc"), "-p", "src/console"] },
  { name: "openapi", command: [join(ROOT, "scripts", "check", "openapi.ts")] },
  { name: "english", command: [join(ROOT, "scripts", "check", "plain_english.ts")] },
];

function installed(tool: string): string {
  return join(ROOT, "node_modules", ".bin", tool);
}

async function runCheck({ name, command, fix }: (typeof CHECKS)[number]): Promise<boolean> {
  const startedMs = performance.now();
  const tooling = Bun.spawn([process.execPath, ...command], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = await Promise.all([tooling.stdout.text(), tooling.stderr.text()]);
  const ok = (await tooling.exited) === 0;
  if (!ok) process.stdout.write(`${output.join("").trim()}\n`);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(
    `${name.padEnd(7)} ${ok ? "ok" : "FAIL"}  ${basename(command[0] ?? "")}, ${seconds} s${ok || fix === undefined ? "" : `: ${fix}`}`,
  );
  return ok;
}

let passed = true;
for (const check of CHECKS) passed = (await runCheck(check)) && passed;
process.exit(passed ? 0 : 1);
