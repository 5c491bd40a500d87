// How long `gpuctl agents` takes, straight from the share: the whole run of the binary.
import { cachedBinary } from "../../binaries.ts";
import { Child } from "../../children.ts";
import { median } from "../measure.ts";

/** On some file systems, tmpfs for one, a listing may miss a file that is replaced meanwhile. */
const LEAST_LISTED = 0.99;

/** @returns the median in ms. @throws Error when a run fails or does not list the agents */
export async function timeGpuctlAgents(dir: string, share: string, agents: number, runs: number): Promise<number> {
  const command = [await cachedBinary("gpuctl"), "--share", share, "agents"];
  const durations: number[] = [];
  while (durations.length < runs) {
    const startedMs = performance.now();
    const { status, output } = await new Child(command, dir).finished();
    durations.push(performance.now() - startedMs);
    const listed = output.split("\n").filter((line) => line.startsWith("box-")).length;
    if (status !== 0 || listed < agents * LEAST_LISTED)
      throw new Error(
        `gpuctl agents listed ${listed} of ${agents} agents, exit status ${status}: ${output.slice(0, 500)}`,
      );
  }
  return median(durations);
}
