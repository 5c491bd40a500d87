// `npm run test:browser`: web pages in a real headless Chromium, against the compiled gpu-server.
//
//   npm run test:browser          all of it
//   npm run test:browser -- docs  some of the files
//   npm run test:browser -- --full   the console in more sizes and colors, and with more rounds of what is measured
//
// Root gets Debian's Chromium installed. Elsewhere, without one, it says that it tests nothing; with CI set it fails.
import { requireTools } from "#tests/support/debian.ts";
import { chosenPaths, exitAfter, runFiles, testFiles } from "#tests/support/suite.ts";
import { BROWSER_VARIABLE, FULL_VARIABLE } from "./site/browser.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FULL = "--full";
/** Far more than it takes where nothing else runs. */
const LIMIT_S = 600;

function installed(): string | undefined {
  const given = process.env[BROWSER_VARIABLE];
  return given ?? NAMES.map((name) => Bun.which(name)).find((path) => path !== null) ?? undefined;
}

await exitAfter(async (argv) => {
  const isFull = argv.includes(FULL);
  const paths = chosenPaths(
    testFiles("tests/browser"),
    argv.filter((name) => name !== FULL),
  );
  if (installed() === undefined && process.getuid?.() === 0)
    await requireTools([{ command: "chromium", package: "chromium" }], "Cannot open a browser");
  const browser = installed();
  if (browser === undefined) {
    const problem = `No browser is installed here. Install Chromium, or name one in ${BROWSER_VARIABLE}`;
    if (process.env["CI"] !== undefined) throw new Error(problem);
    process.stderr.write(`NOTHING WAS TESTED: ${problem}\n`);
    return 0;
  }
  const env = { [BROWSER_VARIABLE]: browser, ...(isFull ? { [FULL_VARIABLE]: "1" } : {}) };
  return await runFiles(paths, { env, limitS: LIMIT_S });
});
