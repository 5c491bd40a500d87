// The agent's condition in one line, which `systemctl status` shows.
import type { Job, State } from "../../protocol.ts";
import type { Condition } from "./condition.ts";

export interface StatusLineDeps {
  readonly agent: string;
  readonly service: { status(text: string): void };
  readonly transport: { readonly description: string };
  /** Why the share is unavailable. */
  readonly outage: { readonly reason: string | null };
  readonly condition: Pick<Condition, "phase" | "isReady" | "nameConflict" | "status">;
  readonly monitor: { readonly health: State["ollama"] };
  readonly jobs: { active(): readonly Job[] };
}

export class StatusLine {
  readonly #deps: StatusLineDeps;

  constructor(deps: StatusLineDeps) {
    this.#deps = deps;
  }

  changed(what: "state" | "progress"): void {
    if (what === "state") this.show();
  }

  show(): void {
    const { agent, service, transport, outage, condition, monitor, jobs } = this.#deps;
    if (condition.phase === "running" && outage.reason !== null)
      service.status(`waiting for the share: ${outage.reason}`);
    else if (!condition.isReady && condition.nameConflict === null) service.status("looking at the share");
    else {
      const { status, degraded_reason } = condition.status;
      const parts = { status, degraded_reason, ollama: monitor.health, jobs: jobs.active() };
      service.status(statusLine(agent, transport.description, parts));
    }
  }
}

/**
 * `gpu-1 on nfs4 at /mnt/shared, Ollama 0.32.15, 1 job running`
 * @param jobs queued or running
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
  const parts = [`${agent} on ${transport}`, describeOllama(ollama), countJobs(jobs)];
  return [...parts, ...(reason === null ? [] : [`degraded: ${reason}`])].join(", ");
}

function describeOllama({ reachable, version, error }: State["ollama"]): string {
  if (reachable) return `Ollama ${version}`;
  return error === null ? "Ollama not asked yet" : `Ollama is not reachable: ${error}`;
}

function countJobs(jobs: readonly Job[]): string {
  const queued = jobs.filter(({ state }) => state === "queued").length;
  const running = jobs.length - queued;
  const counts = `${running === 0 ? "no" : running} ${running === 1 ? "job" : "jobs"} running`;
  return queued === 0 ? counts : `${counts}, ${queued} queued`;
}
