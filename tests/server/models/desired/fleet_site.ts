// A fleet of scripted boxes and gpu-servers that keep it to a file, in simulated time.

import { CourierError } from "#src/base/errors.ts";
import { type Log, silentLog } from "#src/base/log.ts";
import { WatchedFleet } from "#src/courier/index/watched_fleet.ts";
import { Courier } from "#src/courier.ts";
import type { Elsewhere, HeldModel, Published } from "#src/program/registry/published.ts";
import type { Model } from "#src/protocol.ts";
import { AuditLog } from "#src/server/audit/audit_log.ts";
import { Recorder } from "#src/server/audit/recorder.ts";
import type { DesiredSettings } from "#src/server/models/desired/flags.ts";
import { KeptFleet, type KeptFleetDeps } from "#src/server/models/desired/kept_fleet.ts";
import { openStore } from "#src/server/store/store.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { KnownAgents } from "#src/trust/agents/known_agents.ts";
import type { SigningKey } from "#src/trust/keys.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { memoryDir } from "#tests/support/memory_dir.ts";
import { type Answer, answerAsAgent, modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

/** As long as agents leave their states as they are. */
const STEP_MS = 5_000;

export interface OpenedServer {
  readonly fleet: WatchedFleet;
  readonly kept: KeptFleet;
  readonly audit: AuditLog;
  /** What it logged, by message. */
  readonly logged: readonly string[];
  readonly stop: () => Promise<void>;
}

export class FleetSite implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly store = new MemoryStore(this.clock);
  readonly boxes = new Map<string, ScriptedAgent>();
  /** Boxes that do not report. */
  readonly away = new Set<string>();
  /** What the registries have, by name: a digest. */
  readonly registry = new Map<string, string>();
  readonly asked: string[] = [];
  /** Whether this machine reaches them; otherwise boxes are asked. */
  reachesRegistries = true;
  /** The registries answer when it resolves; null: at once. */
  hanging: PromiseWithResolvers<void> | null = null;
  /** The text of the file; null: there is no file. */
  text: string | null = null;
  readonly #stops: (() => Promise<void>)[] = [];

  async box(
    name: string,
    {
      models = [],
      answer = finishPulls,
      key = null,
      protect = [],
    }: {
      models?: readonly (string | Model)[];
      answer?: Answer;
      key?: SigningKey | null;
      protect?: readonly string[];
    } = {},
  ): Promise<ScriptedAgent> {
    const own = models.map((model) =>
      typeof model === "string" ? modelOf(model, { modified_at: "2026-01-01T00:00:00Z" }) : model,
    );
    const box = await ScriptedAgent.open({ open: () => this.store.open(this.clock) }, name, {
      models: own,
      answer,
      key,
    });
    box.always = { protected: [...protect] };
    await box.publish();
    this.boxes.set(name, box);
    return box;
  }

  async server(
    settings: Partial<DesiredSettings> = {},
    {
      desiredLease = null,
      mode = "known",
    }: { desiredLease?: KeptFleetDeps["desiredLease"]; mode?: "known" | "off" } = {},
  ): Promise<OpenedServer> {
    const { clock } = this;
    const transport = this.store.open(clock);
    await transport.connect();
    const agents = new KnownAgents(mode);
    const fleet = new WatchedFleet({ transport, clock, log: silentLog, agents });
    const database = openStore(memoryDir("gpu-courier-desired-"));
    const audit = new AuditLog(database, clock);
    const recorder = new Recorder({ audit, keyId: () => null, log: silentLog });
    const courier = new Courier(transport, {
      sender: "server",
      timeoutMs: 30_000,
      witness: recorder,
      clock,
      agents,
      fleet,
    });
    await fleet.open();
    const logged: string[] = [];
    const kept = new KeptFleet(
      { file: "/etc/fleet.yaml", prune: false, maxDeletes: 5, ...settings },
      {
        fleet,
        courier,
        agents,
        publishedModels: { ask: async (models, elsewhere) => await this.#ask(models, elsewhere) },
        recorder,
        desiredLease,
        read: async (path) => await this.#read(path),
        clock,
        log: logInto(logged),
      },
    );
    const stopped = new AbortController();
    const running = kept.run(stopped.signal);
    const stop = async (): Promise<void> => {
      if (stopped.signal.aborted) return;
      stopped.abort();
      await running;
      await fleet.close();
      await courier.close();
      await transport.close();
      database.close();
    };
    this.#stops.push(stop);
    return { fleet, kept, audit, logged, stop };
  }

  /** Lets time pass, in which the boxes that are there report. */
  async pass(ms: number): Promise<void> {
    for (let rest = ms; rest > 0; rest -= STEP_MS) {
      for (const [name, box] of this.boxes) if (!this.away.has(name)) await box.publish();
      await this.clock.advance(Math.min(rest, STEP_MS));
    }
  }

  /** The changing commands that the boxes got, as `gpu-1 pull_model phi4:latest`. */
  get commands(): readonly string[] {
    return [...this.boxes.values()].flatMap(({ name, commands }) =>
      commands
        .filter(({ command }) => ["pull_model", "delete_model"].includes(command))
        .map(({ command, model_name }) => `${name} ${command} ${model_name}`),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stop of this.#stops) await stop();
    for (const box of this.boxes.values()) await box.close();
  }

  async #read(path: string): Promise<string> {
    if (this.text !== null) return await Promise.resolve(this.text);
    throw new CourierError("invalid", `Cannot read ${path}: ENOENT`);
  }

  async #ask(models: readonly HeldModel[], elsewhere: Elsewhere | undefined): Promise<ReadonlyMap<string, Published>> {
    if (!this.reachesRegistries) return await askBoxes(models, elsewhere, this.clock.now());
    await this.hanging?.promise;
    const names = [...new Set(models.map(({ name }) => name.toLowerCase()))];
    this.asked.push(...names);
    const checkedAtMs = this.clock.now();
    const answers = names.map((name): [string, Published] => {
      const digest = this.registry.get(name);
      return [
        name,
        digest === undefined
          ? { kind: "none", checkedAtMs }
          : { kind: "manifest", digest, totalBytes: 1, weightsBytes: 1, checkedAtMs },
      ];
    });
    return new Map(answers);
  }
}

async function askBoxes(
  models: readonly HeldModel[],
  elsewhere: Elsewhere | undefined,
  checkedAtMs: number,
): Promise<ReadonlyMap<string, Published>> {
  const answers = models.map(async ({ name }): Promise<[string, Published]> => {
    const found = await elsewhere?.ask(name);
    if (found === undefined || found === null || found === "none")
      return [name.toLowerCase(), { kind: "unknown", reason: "not reached", checkedAtMs }];
    return [name.toLowerCase(), { kind: "manifest", ...found, checkedAtMs }];
  });
  return new Map(await Promise.all(answers));
}

/** A pull ends at once, and brings the model. */
export const finishPulls: Answer = (command, agent) => {
  const answer = answerAsAgent(command, agent);
  if (command.command === "pull_model") endPull(agent, String(command.model_name));
  return answer;
};

/** Ends the active pull of a model. @param digest of what it brought; null: it failed */
export function endPull(agent: ScriptedAgent, name: string, digest: string | null = "ac89"): void {
  const state = digest === null ? ("failed" as const) : ("succeeded" as const);
  const error = digest === null ? "no route to host" : null;
  agent.jobs = agent.jobs.map((job) =>
    job.model === name && job.ended_at === null ? { ...job, state, error, ended_at: agent.now() } : job,
  );
  if (digest === null) return;
  const others = agent.models.filter((model) => model.name !== name);
  agent.models = [...others, modelOf(name, { digest, modified_at: agent.now() })];
}

/** @returns a file that names these models for all boxes */
export function fileOf(models: readonly string[], prune = false): string {
  const entries = models.map((name) => `  - name: ${name}\n    on: all\n`);
  return `models:\n${entries.join("")}prune: ${prune}\n`;
}

function logInto(lines: string[]): Log {
  const write = (details: object, message: string): void => {
    lines.push(`${message} ${JSON.stringify(details)}`);
  };
  return { ...silentLog, info: write, warn: write, error: write };
}
