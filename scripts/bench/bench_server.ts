// gpu-server's binary, started for a measurement, and a token for it.
import { join } from "node:path";
import { cachedBinary } from "../binaries.ts";
import { Child } from "../children.ts";

export interface BenchServer {
  readonly child: Child;
  readonly url: string;
  readonly token: string;
}

/** Resolves when it listens. @param dir where it runs, with its state in `server` @param settings its transport, and more */
export async function startServer(dir: string, settings: readonly string[]): Promise<BenchServer> {
  const gpuServer = await cachedBinary("gpu-server");
  const stateDir = ["--state-dir", join(dir, "server")];
  const add = await new Child([gpuServer, "token", "add", "bench", "--role", "gp", ...stateDir], dir).finished();
  if (add.status !== 0) throw new Error(`No token: ${add.output}`);
  const child = new Child([gpuServer, ...settings, "--port", "0", "--log-format", "json", ...stateDir], dir);
  const { url } = await child.line('"Listening"');
  return { child, url: String(url), token: add.output.trim() };
}
