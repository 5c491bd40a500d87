// The test files of one folder as a suite of its own, such as `npm run test:nats`.
import { basename, join } from "node:path";
import { ROOT } from "../../scripts/binaries.ts";

/** `server` for server_test.ts, with its path; sorted by name. @param folder from the root of the checkout */
export function testFiles(folder: string): ReadonlyMap<string, string> {
  const paths = [...new Bun.Glob("**/*_test.ts").scanSync({ cwd: join(ROOT, folder) })];
  const names = paths.map((path): [string, string] => [basename(path, "_test.ts"), `./${folder}/${path}`]);
  return new Map(names.toSorted(([a], [b]) => a.localeCompare(b)));
}

/** The paths of the files that are named; of all of them when none is. @throws Error when there is no such file */
export function chosenPaths(files: ReadonlyMap<string, string>, names: readonly string[]): string[] {
  const unknown = names.filter((name) => !files.has(name));
  if (unknown.length > 0)
    throw new Error(`There is no ${unknown.join(", ")} here, only ${[...files.keys()].join(", ")}`);
  return [...files].filter(([name]) => names.length === 0 || names.includes(name)).map(([, path]) => path);
}

interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly limitS: number;
  /** Files that mostly wait run side by side, each in a process of its own; default: one after another in one process. */
  readonly atATime?: number;
}

/** Runs the files, and ends them after `limitS`. @returns the exit status of bun test */
export async function runFiles(paths: readonly string[], { env, limitS, atATime }: RunOptions): Promise<number> {
  const flags = [
    "--path-ignore-patterns=",
    "--timeout=60000",
    ...(atATime === undefined ? [] : [`--parallel=${atATime}`]),
  ];
  const child = Bun.spawn([process.execPath, "test", ...flags, ...paths], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "inherit"],
    timeout: limitS * 1000,
  });
  return await child.exited;
}

/** Ends this process with the status that `main` returns for the arguments, or with its error's text and 1. */
export async function exitAfter(main: (argv: readonly string[]) => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main(Bun.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
