// `npm run test:nats`: what runs on NATS, against a real nats-server.
//
//   npm run test:nats                 all of it
//   npm run test:nats -- permissions  some of the files
//   NATS_FAULTS=long npm run test:nats  with long outages, every point of the crash matrix, and more kills
//
// It takes the nats-server that NATS_SERVER names or that is on the PATH, 2.12.6 or newer. Without one it builds one with Go, or
// fetches one with pip, and keeps it in the user's cache.
import { basename } from "node:path";
import { NATS_VARIABLE, provideNatsServer } from "#tests/support/nats/nats_binary.ts";
import { ROOT } from "../../scripts/binaries.ts";

/** `server` for server_test.ts. */
const FILES = new Map(
  [...new Bun.Glob("**/*_test.ts").scanSync({ cwd: import.meta.dir })]
    .toSorted((a, b) => a.localeCompare(b))
    .map((path) => [basename(path, "_test.ts"), path]),
);
/** Far more than it takes where nothing else runs; the long form takes many minutes. */
const LIMIT_S = process.env["NATS_FAULTS"] === "long" ? 3_000 : 600;

async function main(files: readonly string[]): Promise<number> {
  const unknown = files.filter((name) => !FILES.has(name));
  if (unknown.length > 0)
    throw new Error(`There is no ${unknown.join(", ")} here, only ${[...FILES.keys()].join(", ")}`);
  const binary = await provideNatsServer();
  const names = files.length > 0 ? files : [...FILES.keys()];
  const paths = names.map((name) => `./tests/nats/${FILES.get(name)}`);
  const child = Bun.spawn([process.execPath, "test", "--path-ignore-patterns=", "--timeout=60000", ...paths], {
    cwd: ROOT,
    env: { ...process.env, [NATS_VARIABLE]: binary },
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
