// The three binaries and how each is made from its face. Imports nothing but Bun.
import { join } from "node:path";

export interface Binary {
  readonly name: string;
  readonly face: string;
}

export const BINARIES: readonly Binary[] = [
  { name: "gpu-agent", face: "src/agent.ts" },
  { name: "gpu-server", face: "src/server.ts" },
  { name: "gpuctl", face: "src/client.ts" },
];

export const ROOT = join(import.meta.dir, "..");

/**
 * Builds one binary for this machine.
 * @returns its path in `folder`, which is made when it is not there
 * @throws AggregateError when the sources do not build
 */
export async function buildBinary({ name, face }: Binary, folder: string): Promise<string> {
  const outfile = join(folder, name);
  await Bun.build({
    entrypoints: [join(ROOT, face)],
    minify: true,
    sourcemap: "inline",
    compile: {
      outfile,
      // By default a compiled program reads both from the folder it is started in, and runs what a bunfig.toml there
      // preloads: code execution from a shared folder (oven-sh/bun#24790).
      autoloadBunfig: false,
      autoloadDotenv: false,
    },
  });
  return outfile;
}
