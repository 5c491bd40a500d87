// Ollama's health and lists, asked for in the background so that state never waits for it.
import { type Clock, isoTime } from "../../base/clock.ts";
import { asCourierError, type CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Model, OllamaHealth, RunningModel } from "../../protocol.ts";
import type { Ollama } from "./ollama.ts";

export interface OllamaMonitorOptions {
  readonly ollama: Pick<Ollama, "version" | "listModels" | "listRunning">;
  readonly clock: Clock;
  readonly log: Log;
  /** Notified when a list or the health changed. */
  readonly changes: { notify(what: "state"): void };
  /** A pass is one look, successful or not. */
  readonly heartbeat: { passed(loop: "Ollama"): void };
}

const HEALTH_INTERVAL_MS = 5000;
/** `/api/tags` is slow with many models: not with every look, and at once after every change of ours. */
const LOOKS_PER_LIST = 3;

export class OllamaMonitor {
  readonly #options: OllamaMonitorOptions;
  #health: OllamaHealth = { reachable: false, version: null, error: null, checked_at: null };
  #models: readonly Model[] | null = null;
  #running: readonly RunningModel[] = [];
  #listing: Promise<readonly Model[]> | undefined;
  #listings = 0;

  constructor(options: OllamaMonitorOptions) {
    this.#options = options;
  }

  get health(): OllamaHealth {
    return this.#health;
  }

  /** The models as last listed; null until Ollama answered once. */
  get models(): readonly Model[] | null {
    return this.#models;
  }

  get running(): readonly RunningModel[] {
    return this.#running;
  }

  /** Looks every 5 s; resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for (let look = 0; !signal.aborted; look++) {
      await this.#look(signal, this.#models === null || look % LOOKS_PER_LIST === 0);
      this.#options.heartbeat.passed("Ollama");
      await this.#options.clock.sleep(HEALTH_INTERVAL_MS, signal);
    }
  }

  /**
   * The models as Ollama lists them now. Requests at one time share one answer, unless something was changed in between.
   * @throws CourierError `unavailable` when Ollama cannot be asked
   */
  async listModels(): Promise<readonly Model[]> {
    const listing = (this.#listing ??= this.#list());
    try {
      return await listing;
    } finally {
      if (this.#listing === listing) this.#listing = undefined;
    }
  }

  /** The models in memory now. @throws CourierError `unavailable` when Ollama cannot be asked */
  async listRunning(signal?: AbortSignal): Promise<readonly RunningModel[]> {
    const running = await this.#options.ollama.listRunning(signal);
    if (JSON.stringify(running) !== JSON.stringify(this.#running)) {
      this.#running = running;
      this.#options.changes.notify("state");
    }
    return running;
  }

  /** Lists again after a change of ours. Never rejects: a failure shows in `health`. */
  async refresh(): Promise<void> {
    this.#listing = undefined;
    await this.listModels().catch(() => undefined);
  }

  async #look(signal: AbortSignal, withModels: boolean): Promise<void> {
    const { ollama } = this.#options;
    try {
      const version = await ollama.version(signal);
      await this.listRunning(signal);
      // Back only when all of it answers: a list that fails while the version answers would look like a flicker.
      if (withModels || !this.#health.reachable) await this.listModels();
      this.#note({ reachable: true, version, error: null });
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  async #list(): Promise<readonly Model[]> {
    this.#listings += 1;
    const listing = this.#listings;
    try {
      const models = await this.#options.ollama.listModels();
      // An answer that a later listing overtook is from before a change.
      if (listing < this.#listings) return models;
      const moved = JSON.stringify(models) !== JSON.stringify(this.#models);
      this.#models = models;
      if (moved) this.#options.changes.notify("state");
      return models;
    } catch (error) {
      throw this.#fail(error);
    }
  }

  #fail(error: unknown): CourierError {
    const failure = asCourierError(error);
    this.#note({ reachable: false, version: this.#health.version, error: failure.message });
    return failure;
  }

  #note(health: Omit<OllamaHealth, "checked_at">): void {
    const before = this.#health;
    this.#health = { ...health, checked_at: isoTime(this.#options.clock.now()) };
    if (before.checked_at !== null && before.reachable === health.reachable && before.error === health.error) return;
    const { log } = this.#options;
    if (health.reachable) log.info({ version: health.version }, "Ollama is reachable");
    else log.warn({ reason: health.error }, "Ollama is not reachable");
    this.#options.changes.notify("state");
  }
}
