// `npm run test:browser`: web pages in a real headless Chromium, against the compiled gpu-server.
//
//   npm run test:browser          all of it
//   npm run test:browser -- docs  some of the files
//   npm run test:browser -- --full   the console in more sizes and colors, and with more rounds of what is measured
//
// Root gets Debian's Chromium installed. Elsewhere, without one, it says that it tests nothing; with CI set it fails.
import { requireTools } from "#tests/support/debian.ts";
import { ROOT } from "../../scripts/binaries.ts";
import { BROWSER_VARIABLE, FULL_VARIABLE } from "./site/browser.ts";

/** `docs` for docs_test.ts. */
const FILES = [...new Bun.Glob("*_test.ts").scanSync({ cwd: import.meta.dir })]
  .map((name) => name.slice(0, -"_test.ts".length))
  .toSorted();
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FULL = "--full";
/** Far more than it takes where nothing else runs. */
const LIMIT_S = 600;

function installed(): string | undefined {
  const given = process.env[BROWSER_VARIABLE];
  return given ?? NAMES.map((name) => Bun.which(name)).find((path) => path !== null) ?? undefined;
}

async function main(argv: readonly string[]): Promise<number> {
  const isFull = argv.includes(FULL);
  const files = argv.filter((name) => name !== FULL);
  const unknown = files.filter((name) => !FILES.includes(name));
  if (unknown.length > 0) throw new Error(`There is no ${unknown.join(", ")} here, only ${FILES.join(", ")}`);
  if (installed() === undefined && process.getuid?.() === 0)
    await requireTools([{ command: "chromium", package: "chromium" }], "Cannot open a browser");
  const browser = installed();
  if (browser === undefined) {
    const problem = `No browser is installed here. Install Chromium, or name one in ${BROWSER_VARIABLE}`;
    if (process.env["CI"] !== undefined) throw new Error(problem);
    process.stderr.write(`NOTHING WAS TESTED: ${problem}\n`);
    return 0;
  }
  const paths = (files.length > 0 ? files : FILES).map((name) => `./tests/browser/${name}_test.ts`);
  const child = Bun.spawn([process.execPath, "test", "--path-ignore-patterns=", "--timeout=60000", ...paths], {
    cwd: ROOT,
    env: { ...process.env, [BROWSER_VARIABLE]: browser, ...(isFull ? { [FULL_VARIABLE]: "1" } : {}) },
    stdio: ["ignore", "inherit", "inherit"],
    timeout: LIMIT_S * 1000,
  });
  return await child.exited;
}

try {
  process.exitCode = await main(Bun.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
