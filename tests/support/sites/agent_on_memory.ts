// An agent on the memory transport with an Ollama that the test scripts.
import { rmSync } from "node:fs";
import { type AgentParts, assemble } from "#src/agent/assemble.ts";
import { Ledger, type LedgerOptions } from "#src/agent/ledger/ledger.ts";
import { BootFile } from "#src/agent/presence/boot_counter.ts";
import { isoTime } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { noServiceManager } from "#src/program/service_manager.ts";
import { type Model, type ModelDetails, Response, type RunningModel, State } from "#src/protocol.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { Inbox, Reply, ReplyAddress, Transport } from "#src/transport.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";
import { memoryDir } from "#tests/support/memory_dir.ts";
import { testKey } from "#tests/trust/test_key.ts";

export const PHI4: Model = {
  name: "phi4:latest",
  size: 9_053_116_391,
  modified_at: "2025-07-15T16:58:02.123456789Z",
  digest: "ac896e5b8b34a1f4efa7b14d7520725140d5512484457fab45d2a4ea14c69dba",
};

/** An Ollama in the same process: what it holds, and what each call does next. */
export class ScriptedOllama {
  models: Model[] = [PHI4];
  running: RunningModel[] = [];
  readonly calls: string[] = [];
  /** When set, every call but the one before a delete waits for it or fails with it. */
  trouble: Promise<never> | Promise<void> = Promise.resolve();
  /** A pull stays under way until this resolves. */
  pullEnds: Promise<void> = Promise.resolve();

  async version(signal?: AbortSignal): Promise<string> {
    await Promise.race([this.trouble, aborted(signal)]);
    return "0.32.15";
  }

  async listModels(): Promise<Model[]> {
    await this.trouble;
    return this.models;
  }

  readonly hasHelpers = false;

  async listHelpers(): Promise<Model[]> {
    return await Promise.resolve([]);
  }

  async listRunning(): Promise<RunningModel[]> {
    return await Promise.resolve(this.running);
  }

  async showModel(name: string): Promise<ModelDetails> {
    await this.trouble;
    if (!this.models.some((model) => model.name === name)) {
      throw new CourierError("not_found", `model '${name}' not found`);
    }
    return { details: { family: "phi3" }, capabilities: ["completion"], license: "MIT" };
  }

  async copyModel(name: string, destination: string): Promise<void> {
    this.calls.push(`copy ${name} ${destination}`);
    await this.trouble;
    this.models = [...this.models, { ...PHI4, name: destination }];
  }

  async loadModel(name: string, { keepAliveSeconds = 300 }: LoadOptions = {}): Promise<void> {
    this.calls.push(`load ${name} ${keepAliveSeconds}`);
    await this.trouble;
    if (!this.models.some((model) => model.name === name)) {
      throw new CourierError("not_found", `model '${name}' not found`);
    }
    const expires_at = `2026-11-23T22:${keepAliveSeconds === 300 ? "05" : "10"}:00Z`;
    this.running = [{ name, size: PHI4.size, size_vram: PHI4.size, expires_at }];
  }

  async unloadModel(name: string): Promise<void> {
    this.calls.push(`unload ${name}`);
    await this.trouble;
    this.running = this.running.filter((model) => model.name !== name);
  }

  async deleteModel(name: string): Promise<void> {
    this.calls.push(`delete ${name}`);
    await this.trouble;
    if (!this.models.some((model) => model.name === name)) {
      throw new CourierError("not_found", `model '${name}' not found`);
    }
    this.models = this.models.filter((model) => model.name !== name);
  }

  async pullModel(name: string, { signal, onProgress }: PullOptions = {}): Promise<void> {
    this.calls.push(`pull ${name}`);
    onProgress?.({ phase: "downloading", completedBytes: 30, totalBytes: 100, receivedBytes: 30 });
    await Promise.race([this.pullEnds, aborted(signal)]);
    await this.trouble;
    this.models = [...this.models, { ...PHI4, name }];
  }
}

type LoadOptions = NonNullable<Parameters<AgentParts["ollama"]["loadModel"]>[1]>;
type PullOptions = NonNullable<Parameters<AgentParts["ollama"]["pullModel"]>[1]>;

async function aborted(signal: AbortSignal | undefined): Promise<never> {
  return await new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(new CourierError("cancelled", "Stopped")));
  });
}

export interface RunningAgent {
  readonly stop: AbortController;
  readonly ended: Promise<void>;
  readonly ledger: Ledger;
  readonly transport: Transport;
}

/** The settings of an agent in a test. It pulls one model at a time, from registries that the box does not reach itself. */
export const AGENT_OPTIONS: Omit<
  AgentParts,
  "identity" | "transport" | "ollama" | "ledger" | "key" | "bootFile" | "clock"
> = {
  agentVersion: "0.0.0",
  labels: {},
  platform: { os: "linux", arch: "x64" },
  sharedInbox: "auto",
  listTtlMs: 60_000,
  changeTtlMs: 86_400_000,
  modelsDir: null,
  registries: { requireAllowed: () => undefined },
  registry: {
    readManifest: async () => await Promise.reject(new CourierError("unavailable", "registry cannot be reached")),
  },
  mirror: null,
  mirrorSource: null,
  diskReserve: () => 0,
  protect: [],
  metricsFile: null,
  drainFile: null,
  requireSignatures: "off",
  trustedKeys: null,
  operators: null,
  shareTimeFile: { exists: () => true, read: () => null, write: () => undefined },
  maxPulls: 1,
  pullWindows: [],
  pullRate: null,
  pullLimits: { pullTimeoutMs: 86_400_000, registryTimeoutMs: 86_400_000, saveIntervalMs: 300_000 },
  hostNames: { isMissing: async () => await Promise.resolve(false) },
  service: noServiceManager,
  log: silentLog,
};

/** The key of the agent with this instance, and its counter in this folder. */
export function signing(dir: string, instance: string): Pick<AgentParts, "key" | "bootFile"> {
  return { key: testKey(Number(Bun.hash.wyhash(instance) % 256n)), bootFile: new BootFile(dir, true) };
}

/** One transport with agents on it, and the platform's side as a raw handle. */
export class MemorySite {
  readonly clock = new ManualClock();
  readonly store = new MemoryStore(this.clock);
  readonly platform: Transport = this.store.open();
  readonly replies = new Map<string, Response>();
  readonly #dirs: string[] = [];
  readonly #running: RunningAgent[] = [];

  /** Listens at an address; answers are put into `replies` by id. */
  async listen(address: ReplyAddress): Promise<void> {
    await this.platform.connect();
    await this.platform.openReplies(
      address,
      () => true,
      ({ id, content }: Reply) => {
        if ("text" in content) this.replies.set(id, Response.parse(JSON.parse(content.text)));
        return true;
      },
    );
  }

  stateDir(): string {
    const dir = memoryDir("agent-state-");
    this.#dirs.push(dir);
    return dir;
  }

  /** Starts an agent; resolves when it is ready. */
  async start(
    name: string,
    options: Partial<AgentParts> & LedgerOptions & { readonly dir?: string; readonly instance?: string } = {},
  ): Promise<RunningAgent> {
    const dir = options.dir ?? this.stateDir();
    const instance = options.instance ?? `instance-of-${name}`;
    const ledger = new Ledger(dir, options);
    const stop = new AbortController();
    const transport = this.store.open();
    const agent = assemble({
      identity: {
        agent: name,
        instance,
        host: `host-of-${name}`,
        startedAt: isoTime(this.clock.now()),
      },
      transport,
      ollama: new ScriptedOllama(),
      ledger,
      ...AGENT_OPTIONS,
      ...signing(dir, instance),
      clock: this.clock,
      ...options,
    });
    const ended = agent.run(stop.signal);
    ended.catch(() => undefined);
    const running = { stop, ended, ledger, transport };
    this.#running.push(running);
    await settle();
    return running;
  }

  /** Ends an agent as a crash does: it does nothing more, and publishes nothing. */
  async kill({ ledger, transport }: RunningAgent): Promise<void> {
    await transport.close();
    ledger.close();
  }

  /** Puts a command into an inbox as its sender would, and lets it be run. */
  async send(inbox: Inbox, id: string, fields: object): Promise<void> {
    await this.platform.connect();
    await this.platform.send(inbox, id, JSON.stringify(fields), { durable: false });
    await settle();
  }

  /** A version 2 command for an agent, answered at `tester`. */
  async command(agent: string, id: string, fields: object): Promise<void> {
    const common = { version: 2, command_id: id, agent, reply_to: "tester", ttl_ms: 30_000 };
    await this.send({ agent }, id, { timestamp: "2026-01-02T03:04:05Z", ...common, ...fields });
  }

  async state(agent: string): Promise<State> {
    await this.platform.connect();
    const record = await this.platform.readState(agent);
    if (record === null || !("text" in record.content)) throw new Error(`${agent} has published nothing`);
    return State.parse(JSON.parse(record.content.text));
  }

  /** The commands that are still in an inbox. */
  lying(inbox: Inbox): string[] {
    const box = this.store.inboxes.get(inbox === "shared" ? "shared" : `agent ${inbox.agent}`);
    return [...(box?.keys() ?? [])];
  }

  async close(): Promise<void> {
    for (const { stop } of this.#running) stop.abort();
    await this.clock.advance(20_000);
    await Promise.allSettled(this.#running.map(async ({ ended }) => await ended));
    for (const { ledger } of this.#running) ledger.close();
    for (const dir of this.#dirs) rmSync(dir, { recursive: true, force: true });
  }
}
