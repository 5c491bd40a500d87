// How the agent is, in the one line that `systemctl status` shows. Imports protocol.
import type { Job, State } from "../../protocol.ts";

/**
 * `gpu-1 on nfs4 at /mnt/shared, Ollama 0.32.15, 1 job running`
 * @param jobs queued or under way
 */
export function statusLine(
  agent: string,
  transport: string,
  {
    status,
    degraded_reason: reason,
    ollama,
    jobs,
  }: Pick<State, "status" | "degraded_reason" | "ollama"> & { readonly jobs: readonly Job[] },
): string {
  if (status === "draining" || status === "stopped") return status;
  const parts = [`${agent} on ${transport}`, ollamaIs(ollama), jobsAre(jobs)];
  return [...parts, ...(reason === null ? [] : [`degraded: ${reason}`])].join(", ");
}

function ollamaIs({ reachable, version, error }: State["ollama"]): string {
  if (reachable) return `Ollama ${version}`;
  return error === null ? "Ollama not asked yet" : `Ollama is not reachable: ${error}`;
}

function jobsAre(jobs: readonly Job[]): string {
  const queued = jobs.filter(({ state }) => state === "queued").length;
  const running = jobs.length - queued;
  const counts = `${running === 0 ? "no" : running} ${running === 1 ? "job" : "jobs"} running`;
  return queued === 0 ? counts : `${counts}, ${queued} queued`;
}
