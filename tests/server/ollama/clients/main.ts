// `npm run test:clients`: Ollama's and OpenAI's own clients, unchanged, on a box behind gpu-server.
//
//   npm run test:clients                       all of it
//   npm run test:clients -- differences        some of the files
//   OLLAMA_CLI_BUILD=1 npm run test:clients    with an `ollama` that Go builds, unless there is one
//   OLLAMA_TEST_URL=http://127.0.0.1:11434 npm run test:clients -- differences   compared with a real Ollama, which loses its models
//
// The libraries come from npm and PyPI into the user's cache. The `ollama` CLI is the one that OLLAMA_CLI names or that is on the
// PATH; without one, only its recorded requests are replayed.
import { chosenPaths, exitAfter, runFiles, testFiles } from "#tests/support/suite.ts";
import { CLI_VARIABLE, provideCli, providePackages } from "./site/packages.ts";

/** Far more than it takes where nothing else runs; the files mostly wait for pulls. */
const LIMITS = { limitS: 600, atATime: 3 };
/** Runs the `ollama` CLI. */
const CLI_FILE = "cli";

await exitAfter(async (names) => {
  const files = testFiles("tests/server/ollama/clients");
  const [packages, cli] = await Promise.all([providePackages(), provideCli()]);
  if (cli === undefined) {
    const missing = `No ollama CLI here: name one in ${CLI_VARIABLE}`;
    if (names.includes(CLI_FILE)) throw new Error(missing);
    process.stderr.write(`${missing}. Its recorded requests are replayed\n`);
    const { [CLI_FILE]: _, ...others } = Object.fromEntries(files);
    return await runFiles(chosenPaths(new Map(Object.entries(others)), names), { ...LIMITS, env: packages });
  }
  return await runFiles(chosenPaths(files, names), { ...LIMITS, env: { ...packages, [CLI_VARIABLE]: cli } });
});
