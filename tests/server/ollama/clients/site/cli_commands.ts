// The commands of the `ollama` CLI that are recorded, and the form of a recording.
import { join } from "node:path";
import { z } from "zod";
import { ROOT } from "../../../../../scripts/binaries.ts";

/** In the order in which they run; the first one finds one model, `sample`, and the registry has `small`. */
export const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  version: ["--version"],
  list: ["list"],
  ps: ["ps"],
  show: ["show", "sample"],
  show_unknown: ["show", "none"],
  cp: ["cp", "sample", "copied"],
  cp_unknown: ["cp", "none", "copied"],
  pull: ["pull", "--insecure", "small:latest"],
  pull_again: ["pull", "--insecure", "small:latest"],
  pull_unknown: ["pull", "--insecure", "none"],
  pull_unknown_tag: ["pull", "--insecure", "none:1b"],
  stop: ["stop", "sample"],
  stop_unknown: ["stop", "none"],
  rm: ["rm", "copied"],
  rm_unknown: ["rm", "none"],
};

export const Recording = z.object({
  ollama: z.string(),
  command: z.array(z.string()),
  exchanges: z.array(
    z.object({
      request: z.object({
        method: z.string(),
        path: z.string(),
        headers: z.record(z.string(), z.string()),
        body: z.string(),
      }),
      response: z.object({ status: z.number(), type: z.string(), body: z.string() }),
    }),
  ),
});
export type Recording = z.infer<typeof Recording>;

export function recordingPath(name: string): string {
  return join(ROOT, "tests/fixtures/ollama_cli", `${name}.json`);
}

/** Runs the CLI with a home of its own, so that it finds neither keys nor settings. */
export async function runCli(
  cli: string,
  host: string,
  home: string,
  args: readonly string[],
): Promise<{ readonly status: number; readonly output: string }> {
  const child = Bun.spawn([cli, ...args], {
    env: { PATH: process.env["PATH"], HOME: home, OLLAMA_HOST: host, OLLAMA_NO_CLOUD: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, output: stdout + stderr };
}
