// Earlier releases as programs: their sources, as this repository's history has them, with the packages of this checkout.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../../package.json" with { type: "json" };

const ROOT = join(import.meta.dir, "../../..");

/**
 * Version 0.1.0: the last commit of the work on it. install.sh, the release folder and all three programs are complete
 * there; the next commits sort the sources into folders for what came later. Its schemas are also in
 * tests/support/release_0_1_0.ts. It never changes.
 */
const FIRST_RELEASE = "da727cb3081af4fc74d5d6b2e0ae8a9cb5c94660";

/**
 * What an installation is rolled back to: the last commit before the index of the fleet and the fields for details,
 * boxes and requesters. At each release it becomes the commit of the release before.
 */
const PREVIOUS_RELEASE = "a45d473d10337dc613db48f58abb0b0e7101d4b9";

/** A copy has these. */
const SOURCES = ["src", "package.json", "package-lock.json"];

/** The entry points of one release. */
export interface Programs {
  readonly agent: string;
  readonly server: string;
  readonly gpuctl: string;
}

export const PRESENT = programsIn(ROOT);

export interface EarlierReleases {
  readonly first: Programs;
  readonly previous: Programs;
  /** Has both copies; its caller removes it. */
  readonly folder: string;
}

/** Copies the sources of earlier releases, from which their programs run. @throws Error when the history lacks one */
export async function checkOutReleases(): Promise<EarlierReleases> {
  const folder = mkdtempSync(join(tmpdir(), "gpu-courier-releases-"));
  try {
    const first = await checkOut(FIRST_RELEASE, join(folder, "first"));
    return { first, previous: await checkOut(PREVIOUS_RELEASE, join(folder, "previous")), folder };
  } catch (error) {
    rmSync(folder, { recursive: true });
    throw error;
  }
}

/** Copies the sources of one commit into a new folder. @throws Error when the history lacks it */
export async function checkOut(commit: string, folder: string): Promise<Programs> {
  await run(["git", "-C", ROOT, "cat-file", "-e", `${commit}^{commit}`]).catch((error: unknown) => {
    throw new Error(
      `Cannot find the commit ${commit} of an earlier release: this test needs the whole history of the repository. ` +
        "In a shallow clone, run `git fetch --unshallow` and repeat the test",
      { cause: error },
    );
  });
  mkdirSync(folder);
  const archive = join(folder, "sources.tar");
  await run(["git", "-C", ROOT, "archive", `--output=${archive}`, commit, ...SOURCES]);
  await run(["tar", "-x", "-f", archive, "-C", folder]);
  await addPackages(folder);
  return programsIn(folder);
}

function programsIn(folder: string): Programs {
  const source = (name: string): string => join(folder, "src", name);
  return { agent: source("agent.ts"), server: source("server.ts"), gpuctl: source("client.ts") };
}

/** Those of this checkout if the release needs the same; else its own, from the registry of npm. */
async function addPackages(folder: string): Promise<void> {
  const { dependencies } = await Bun.file(join(folder, "package.json")).json();
  if (Bun.deepEquals(dependencies, manifest.dependencies))
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  else await run([process.execPath, "install", "--cwd", folder, "--production", "--ignore-scripts"]);
}

async function run(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const stderr = await child.stderr.text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")}: ${stderr.trim()}`);
}
