// Writes the box's metrics to a file that node_exporter on this box reads: they are there also while the share is away.
import { closeSync, fchmodSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { Clock } from "../../base/clock.ts";
import { CourierError, systemCode } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { Outage } from "../../base/outage.ts";
import { addAbout, addFigures, addStatus } from "../../program/metrics/box.ts";
import { MetricsText } from "../../program/metrics/text.ts";
import { LIMITS } from "../../protocol.ts";
import type { Condition } from "./condition.ts";
import type { StateDocumentDeps } from "./state_document.ts";

export interface MetricsFileDeps
  extends Pick<StateDocumentDeps, "about" | "activity" | "monitor" | "jobs" | "fetches" | "box"> {
  readonly path: string;
  readonly condition: Pick<Condition, "phase" | "isReady" | "status" | "nameConflict" | "foreignStates">;
  readonly transport: { now(): number };
  /** Why the share is unavailable. */
  readonly outage: { readonly reason: string | null };
  readonly clock: Clock;
  readonly log: Log;
}

/** Another user's program reads it. */
const MODE = 0o644;
const EVERYTHING = { eachModel: true, models: true, running: true, jobs: true };

export class MetricsFile {
  readonly #deps: MetricsFileDeps;
  readonly #outage: Outage;

  constructor(deps: MetricsFileDeps) {
    this.#deps = deps;
    this.#outage = new Outage({ clock: deps.clock, log: deps.log, subject: "Metrics file" });
  }

  /** Until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#write(this.#text());
      await this.#deps.clock.sleep(LIMITS.stateIntervalMs, signal);
    }
  }

  /** The file stays: it shows that the agent is stopped. */
  close(): void {
    const { agent } = this.#deps.about.identity;
    const text = new MetricsText();
    text.add("gpu_courier_agent_up", `agent="${agent}"`, 0);
    addStatus(text, agent, "stopped");
    this.#write(text);
  }

  #text(): MetricsText {
    const { about, condition, activity, monitor, jobs, fetches, box, transport, outage, clock } = this.#deps;
    const { agent } = about.identity;
    const labels = `agent="${agent}"`;
    const isShareUp = condition.isReady && outage.reason === null;
    const text = new MetricsText();
    // Without this label it would be a server's.
    text.add("gpu_courier_transport_up", labels, isShareUp);
    text.add("gpu_courier_agent_up", labels, true);
    addStatus(text, agent, isShareUp ? this.#status() : "share_stale");
    text.add("gpu_courier_agent_name_conflict", labels, condition.nameConflict !== null);
    text.add("gpu_courier_forged_documents_total", `${labels},document="state"`, condition.foreignStates);
    addAbout(text, agent, { agent_version: about.agentVersion, ollama: monitor.health, labels: about.labels });
    if (monitor.health.checked_at !== null) text.add("gpu_courier_ollama_up", labels, monitor.health.reachable);
    const models = monitor.models;
    addFigures(
      text,
      agent,
      {
        models,
        model_count: models?.length ?? null,
        running: monitor.running,
        jobs: jobs.list(),
        fetches: fetches?.list(),
        disk: box.disk,
        gpus: box.gpus,
        clock_offset_ms: condition.isReady ? transport.now() - clock.now() : null,
        processed_commands: activity.processed,
        refused_commands: activity.refused,
      },
      EVERYTHING,
    );
    return text;
  }

  #status(): string {
    const { condition, monitor } = this.#deps;
    const { status } = condition.status;
    if (status !== "running") return status;
    return monitor.health.checked_at !== null && !monitor.health.reachable ? "ollama_down" : "online";
  }

  #write(text: MetricsText): void {
    try {
      replaceReadable(this.#deps.path, text.toString());
      this.#outage.ended("write");
    } catch (error) {
      this.#outage.failed("write", denied(this.#deps.path, error));
    }
  }
}

function denied(path: string, cause: unknown): CourierError {
  return new CourierError("unavailable", `Cannot write ${path}: ${systemCode(cause) ?? String(cause)}`, {
    hint: "Make its folder, and let the agent's user write to it. The agent works without it",
    cause,
  });
}

/** Readers see all of it or the one before. Not synced: after a crash the next one is written soon. */
function replaceReadable(path: string, text: string): void {
  const draft = `${path}.new`;
  rmSync(draft, { force: true });
  // Fails where somebody has put a link in its place.
  const file = openSync(draft, "wx", MODE);
  try {
    fchmodSync(file, MODE);
    writeFileSync(file, text);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}
