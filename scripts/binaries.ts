// The three binaries, how each is made from its entry point, and a cache of them for tests and measurements.
import { mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { systemCode } from "#src/base/errors.ts";
import { bundleConsole } from "#src/server/console/bundle.ts";

export interface Binary {
  readonly name: string;
  readonly source: string;
}

export const BINARIES: readonly Binary[] = [
  { name: "gpu-agent", source: "src/agent.ts" },
  { name: "gpu-server", source: "src/server.ts" },
  { name: "gpuctl", source: "src/client.ts" },
];

export const ROOT = join(import.meta.dir, "..");
const CACHE = join(ROOT, "node_modules", ".cache", "gpu-courier");
/** Since their last use: long enough for any run that may still start them. */
const CACHED_FOR_MS = 15 * 60_000;

/**
 * Builds one binary, for this machine unless another is named.
 * @param outfile its folder is made when it is not there
 * @param other another kind of machine, and the Bun that runs there
 * @throws AggregateError when the sources do not build
 */
export async function buildBinary(
  { name, source }: Binary,
  outfile: string,
  other?: { readonly target: Bun.Build.CompileTarget; readonly executablePath: string },
): Promise<void> {
  await Bun.build({
    entrypoints: [join(ROOT, source)],
    plugins: name === "gpu-server" ? [await embeddedConsole()] : [],
    minify: true,
    // No source map: inside the binary it costs the idle agent a megabyte of memory (decision 0009).
    sourcemap: "none",
    // Parsed at build time: the agent is ready, and gpuctl answers, in half the time (decision 0009).
    bytecode: true,
    format: "esm",
    compile: {
      ...other,
      outfile,
      // By default a compiled program reads both from the folder it is started in, and runs what a bunfig.toml there
      // preloads: code execution from a shared folder (oven-sh/bun#24790).
      autoloadBunfig: false,
      autoloadDotenv: false,
    },
  });
}

/** Puts the bundled console in the place of the module that bundles it. */
async function embeddedConsole(): Promise<Bun.BunPlugin> {
  // Before the build that needs it: one build inside another would wait for itself.
  const contents = `export const consoleFiles = async () => ${JSON.stringify(await bundleConsole())};`;
  return {
    name: "embedded console",
    setup: (build) =>
      void build.onLoad({ filter: /src\/server\/console\/files\.ts$/ }, () => ({ contents, loader: "js" })),
  };
}

/** A binary of the sources as they are now, built unless an earlier call did. @returns its path */
export async function cachedBinary(name: string): Promise<string> {
  const binary = BINARIES.find((each) => each.name === name);
  if (binary === undefined) throw new Error(`No binary is called "${name}"`);
  const folder = join(CACHE, await sourcesDigest());
  const path = join(folder, name);
  await mkdir(folder, { recursive: true });
  await utimes(folder, new Date(), new Date());
  if (await Bun.file(path).exists()) return path;
  await removeOld();
  const building = `${path}.${Bun.randomUUIDv7()}`;
  await buildBinary(binary, building);
  await rename(building, path);
  return path;
}

async function sourcesDigest(): Promise<string> {
  const sources = [...new Bun.Glob("src/**").scanSync({ cwd: ROOT })].toSorted();
  const hasher = new Bun.CryptoHasher("sha256").update(`${Bun.revision} ${process.platform} ${process.arch}`);
  for (const path of [...sources, "package.json", "package-lock.json", "scripts/binaries.ts"])
    hasher.update(path).update(await Bun.file(join(ROOT, path)).arrayBuffer());
  return hasher.digest("hex").slice(0, 16);
}

async function removeOld(): Promise<void> {
  for (const name of await readdir(CACHE).catch(() => [])) {
    const folder = join(CACHE, name);
    // Another process may remove it at the same time.
    const found = await stat(folder).catch(ignoreMissing);
    if (found !== undefined && Date.now() - found.mtimeMs > CACHED_FOR_MS)
      await rm(folder, { recursive: true, force: true });
  }
}

function ignoreMissing(error: unknown): undefined {
  if (systemCode(error) !== "ENOENT") throw error;
}
