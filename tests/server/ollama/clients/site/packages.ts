// The stock clients that are tested, each in one version, kept in the user's cache: they are no dependencies of the project.
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { APT_GET, run, updateOr } from "#tests/support/debian.ts";

const NPM = ["openai@7.59.0"];
const PYPI = ["ollama==0.6.3", "openai==3.57.0"];
export const CLI_VERSION = "0.32.15";
/** Names the `ollama` to use. */
export const CLI_VARIABLE = "OLLAMA_CLI";
/** As `1`: without a CLI, one is built from its source. */
const BUILD_CLI_VARIABLE = "OLLAMA_CLI_BUILD";
/** The folders that `providePackages()` made. */
export const NODE_VARIABLE = "CLIENTS_NODE";
export const PYTHON_VARIABLE = "CLIENTS_PYTHON";

/** Installs what is not in the cache. @returns variables for the tests @throws Error with what the installer wrote */
export async function providePackages(): Promise<Record<string, string>> {
  const node = cached(`node ${NPM.join(" ")}`);
  const python = cached(`python ${PYPI.join(" ")}`);
  await Promise.all([provide(node, installNode), provide(python, installPython)]);
  return { [NODE_VARIABLE]: node, [PYTHON_VARIABLE]: python };
}

/**
 * The CLI that the variable names, or that is on the PATH, or in the cache; or one built for the cache.
 * @returns undefined when no CLI is found and none has to be built
 */
export async function provideCli(): Promise<string | undefined> {
  const given = process.env[CLI_VARIABLE] || Bun.which("ollama");
  if (given) return given;
  const folder = cached(`cli ${CLI_VERSION}`);
  if (process.env[BUILD_CLI_VARIABLE] === "1") await provide(folder, buildCli);
  const path = join(folder, "ollama");
  return existsSync(path) ? path : undefined;
}

async function installNode(folder: string): Promise<void> {
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await run([process.execPath, "install", "--silent", "--ignore-scripts", ...NPM], { cwd: folder });
}

async function installPython(folder: string): Promise<void> {
  const pip = ["python3", "-m", "pip"];
  const hasPip = Bun.which("python3") !== null && Bun.spawnSync([...pip, "--version"]).exitCode === 0;
  if (!hasPip) {
    await updateOr("Cannot install the Python clients: no pip here", ["python3-pip"]);
    await run([...APT_GET, "install", "-y", "--no-install-recommends", "python3-pip"]);
  }
  await run([...pip, "install", "--quiet", "--disable-pip-version-check", "--target", folder, ...PYPI]);
}

/** About 100 s on two cores. Without cgo it lacks what runs models, which nothing here does. */
async function buildCli(folder: string): Promise<void> {
  if (Bun.which("go") === null) throw new Error("Cannot build the ollama CLI: no Go here");
  const version = `-X=github.com/ollama/ollama/version.Version=${CLI_VERSION}`;
  const env = { ...process.env, GOBIN: folder };
  await run(["go", "install", "-ldflags", version, `github.com/ollama/ollama@v${CLI_VERSION}`], { env });
}

/** Fills a folder beside and renames it: two runs may make it at once, and one that is ended leaves no half. */
async function provide(folder: string, install: (folder: string) => Promise<void>): Promise<void> {
  if (existsSync(folder)) return;
  await mkdir(join(folder, ".."), { recursive: true });
  const making = await mkdtemp(`${folder}-making-`);
  try {
    await install(making);
    if (!existsSync(folder)) await rename(making, folder);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
}

function cached(what: string): string {
  const caches = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(caches, "gpu-courier", "clients", what.replaceAll(/[^\w.]+/g, "-"));
}
