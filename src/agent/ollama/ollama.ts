// This box's Ollama: the only module that speaks to it.
import { Ollama as Client } from "ollama/browser";
import { z } from "zod";
import { CourierError } from "../../base/errors.ts";
import { parseModelName } from "../../base/model_name.ts";
import { InsecureRegistries } from "../../program/registry/registry_host.ts";
import { Model, ModelDetails, RunningModel } from "../../protocol.ts";
import { isHelperName } from "../../transport/mirror/helper_name.ts";
import { checkedFetch } from "./checked_fetch.ts";
import { connectionFailure, notOllama, silenceFailure } from "./errors.ts";
import { type Asked, onlyEmbeds } from "./meanings.ts";
import { PullLine, type PullProgress, PullTracker } from "./pull_tracker.ts";

export type { PullProgress } from "./pull_tracker.ts";

export interface OllamaOptions {
  /** As `parseOllamaUrl` returns it. */
  readonly url: string;
  /** Its machine's name for the hints of errors; missing: they say "this machine". */
  readonly machine?: string | undefined;
  /** `host:port` of registries that may be reached without TLS: a pull from any other insists on it. */
  readonly insecureRegistries?: readonly string[];
  /** How long an answer may take, pulls excepted; six times as long for a delete, which may have to free 100 GB. */
  readonly requestTimeoutMs?: number;
  /** How long a pull may make no progress. */
  readonly stallMs?: number;
}

export interface LoadOptions {
  /** How long it stays loaded after its last request, in s; -1: until it is unloaded; missing: as Ollama is set. */
  readonly keepAliveSeconds?: number | undefined;
  /** The size of its files: reading them takes time. */
  readonly bytes?: number;
  readonly signal?: AbortSignal;
}

export interface PullOptions {
  /** Aborting closes the connection, at which Ollama stops and keeps what it has; the next pull goes on from there. */
  readonly signal?: AbortSignal;
  /** Called with every change. Must not throw. */
  readonly onProgress?: (progress: PullProgress) => void;
  /** Progress of earlier attempts at this pull: `onProgress` reports the sum of all attempts. */
  readonly tracker?: PullTracker;
  /** A helper name, under which a registry of this machine has the model, without TLS: Ollama gets it under that name. */
  readonly from?: string;
}

const MEGABYTE = 1_000_000;
/** The slowest disk we allow for: while Ollama verifies or loads a model it reads all of it and reports nothing. */
const READ_BYTES_PER_SECOND = 20 * MEGABYTE;
/** Ollama itself gives up a load that makes no progress for this long, unless OLLAMA_LOAD_TIMEOUT says otherwise. */
const LOAD_MS = 300_000;

/** Some 500 bytes each, for 100,000 models and more. */
const MAX_LIST_BYTES = 64 * MEGABYTE;

const Version = z.object({ version: z.string().max(100) });
/** Older releases said null where there were none. */
const listOf = <T>(item: z.ZodType<T>) => z.object({ models: z.array(item).nullable() });
const ModelList = listOf(Model);
const RunningList = listOf(RunningModel);

/**
 * Every method throws CourierError only: `unavailable` when Ollama cannot be reached, does not answer in time, or answers
 * what Ollama would not (retry with backoff), `cancelled` when `signal` was aborted, `forbidden` when it refuses us, and
 * `internal` for what it reports and we do not know. Nothing is tried twice here.
 */
export class Ollama {
  readonly #url: string;
  readonly #machine: string | undefined;
  readonly #insecureRegistries: InsecureRegistries;
  readonly #requestTimeoutMs: number;
  readonly #stallMs: number;
  #hasHelpers = false;

  constructor({ url, machine, insecureRegistries = [], requestTimeoutMs = 10_000, stallMs = 60_000 }: OllamaOptions) {
    this.#url = url;
    this.#machine = machine;
    this.#insecureRegistries = new InsecureRegistries(insecureRegistries);
    this.#requestTimeoutMs = requestTimeoutMs;
    this.#stallMs = stallMs;
  }

  /** Whether the last list had models under helper names. */
  get hasHelpers(): boolean {
    return this.#hasHelpers;
  }

  async version(signal?: AbortSignal): Promise<string> {
    const ask = { action: "ask for the version", signal, maxBytes: MEGABYTE };
    return (await this.#request(ask, Version, async (client) => await client.version())).version;
  }

  /** The installed models, newest first, without those under helper names. */
  async listModels(signal?: AbortSignal): Promise<Model[]> {
    return (await this.#list(signal)).filter(({ name }) => !isHelperName(name));
  }

  /** The models under helper names: steps of pulls from the mirror. */
  async listHelpers(signal?: AbortSignal): Promise<Model[]> {
    return (await this.#list(signal)).filter(({ name }) => isHelperName(name));
  }

  /** The models in memory, the one with the longest time left first. */
  async listRunning(signal?: AbortSignal): Promise<RunningModel[]> {
    const ask = { action: "list the loaded models", signal, maxBytes: MEGABYTE };
    return (await this.#request(ask, RunningList, async (client) => await client.ps())).models ?? [];
  }

  /**
   * Deletes a model. A loaded one stays loaded until its time is over.
   * @throws CourierError `not_found` when there is no such model; `invalid` when it is no name
   */
  async deleteModel(name: string, signal?: AbortSignal): Promise<void> {
    parseModelName(name);
    const timeoutMs = this.#requestTimeoutMs * 6;
    const ask = { action: `delete ${JSON.stringify(name)}`, signal, maxBytes: MEGABYTE, timeoutMs };
    await this.#request(ask, z.unknown(), async (client) => await client.delete({ model: name }));
  }

  /** What Ollama knows of an installed model. @throws CourierError `not_found` when there is no such model */
  async showModel(name: string, signal?: AbortSignal): Promise<ModelDetails> {
    const ask = { action: `show ${JSON.stringify(name)}`, signal, maxBytes: 16 * MEGABYTE };
    return await this.#request(ask, ModelDetails, async (client) => await client.show({ model: name }));
  }

  /**
   * Gives a model a second name; what had that name before is replaced. Copying again is harmless.
   * @throws CourierError `not_found` when there is no such model; `invalid` when either is no name
   */
  async copyModel(name: string, destination: string, signal?: AbortSignal): Promise<void> {
    for (const each of [name, destination]) parseModelName(each);
    const action = `copy ${JSON.stringify(name)} to ${JSON.stringify(destination)}`;
    await this.#request({ action, signal, maxBytes: MEGABYTE }, z.unknown(), async (client) => {
      return await client.copy({ source: name, destination });
    });
  }

  /**
   * Loads a model. Resolves when it is in memory; loading it again is harmless, and counts its time from now.
   * @throws CourierError `not_found` when there is no such model; `internal` when it cannot be loaded, with Ollama's reason
   */
  async loadModel(name: string, { keepAliveSeconds, bytes = 0, signal }: LoadOptions = {}): Promise<void> {
    const timeoutMs = LOAD_MS + readingMs(bytes);
    const ask = { action: `load ${JSON.stringify(name)}`, signal, maxBytes: MEGABYTE, timeoutMs };
    const kept = keepAliveSeconds === undefined ? {} : { keep_alive: keepAliveSeconds };
    try {
      await this.#request(ask, z.unknown(), async (client) => {
        return await client.generate({ model: name, prompt: "", stream: false, ...kept });
      });
    } catch (error) {
      if (!onlyEmbeds(error)) throw error;
      // Without an input it makes no embedding.
      await this.#request(ask, z.unknown(), async (client) => await client.embed({ model: name, input: "", ...kept }));
    }
  }

  /**
   * Asks Ollama to unload a model. Ollama does so once the model's current requests are finished.
   * @throws CourierError `not_found` when there is no such model
   */
  async unloadModel(name: string, signal?: AbortSignal): Promise<void> {
    const ask = { action: `unload ${JSON.stringify(name)}`, signal, maxBytes: MEGABYTE };
    await this.#request(ask, z.unknown(), async (client) => {
      return await client.generate({ model: name, prompt: "", keep_alive: 0, stream: false });
    });
  }

  /**
   * Pulls a model. Resolves only after Ollama reported success: the model is in the list then.
   * @throws CourierError `not_found` when the registry has no such model; `invalid` when it is no name, or its registry
   * speaks no TLS and is not listed; `exhausted` when the disk is full; `unavailable` also when the registry cannot be
   * reached or nothing moved for too long: what was fetched is kept, and another attempt goes on from there
   */
  async pullModel(name: string, options: PullOptions = {}): Promise<void> {
    const from = options.from ?? name;
    const insecure = from !== name || this.#insecureRegistries.has(parseModelName(name).host);
    const asked = { action: `pull ${JSON.stringify(name)}`, url: this.#url, machine: this.#machine, isPull: true };
    const life = new RequestLife(asked, options.signal);
    try {
      life.endAfter(this.#stallMs, "made no progress");
      const client = this.#client(life, 256_000, true);
      const lines = await client.pull({ model: from, stream: true, ...(insecure ? { insecure } : {}) });
      await this.#follow(lines, life, options);
    } catch (error) {
      throw life.failure(error);
    } finally {
      life.end();
    }
  }

  async #list(signal: AbortSignal | undefined): Promise<Model[]> {
    const ask = { action: "list the models", signal, maxBytes: MAX_LIST_BYTES };
    const models = (await this.#request(ask, ModelList, async (client) => await client.list())).models ?? [];
    this.#hasHelpers = models.some(({ name }) => isHelperName(name));
    return models;
  }

  async #follow(
    lines: AsyncIterable<unknown>,
    life: RequestLife,
    { onProgress, tracker = new PullTracker() }: PullOptions,
  ): Promise<void> {
    tracker.begin();
    for await (const line of lines) {
      // The client's types promise fields that are often absent.
      if (!tracker.note(PullLine.parse(line))) continue;
      const { progress } = tracker;
      const verifyMs = progress.phase === "verifying" ? readingMs(progress.totalBytes ?? 0) : 0;
      life.endAfter(this.#stallMs + verifyMs, "made no progress");
      onProgress?.(progress);
    }
  }

  async #request<T>(
    { action, signal, maxBytes, timeoutMs = this.#requestTimeoutMs }: Ask,
    schema: z.ZodType<T>,
    send: (client: Client) => Promise<unknown>,
  ): Promise<T> {
    const life = new RequestLife({ action, url: this.#url, machine: this.#machine, isPull: false }, signal);
    try {
      life.endAfter(timeoutMs, "did not answer");
      return schema.parse(await send(this.#client(life, maxBytes, false)));
    } catch (error) {
      throw life.failure(error);
    } finally {
      life.end();
    }
  }

  /** A client for one request: they share nothing, and the real one keeps every stream that failed. */
  #client({ asked, signal }: RequestLife, maxBytes: number, stream: boolean): Client {
    return new Client({ host: this.#url, fetch: checkedFetch({ asked, signal, maxBytes, stream }) });
  }
}

interface Ask {
  readonly action: string;
  readonly signal: AbortSignal | undefined;
  readonly maxBytes: number;
  readonly timeoutMs?: number;
}

function readingMs(bytes: number): number {
  return (bytes / READ_BYTES_PER_SECOND) * 1000;
}

/** How long a request lives: until it is done, its caller gives up, or it takes too long; then its connection closes. */
class RequestLife {
  readonly asked: Asked;
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(asked: Asked, caller: AbortSignal | undefined) {
    this.asked = asked;
    this.#caller = caller;
    caller?.addEventListener("abort", this.#giveUp);
    if (caller?.aborted) this.#giveUp();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** From now; what was set before no longer counts. */
  endAfter(ms: number, what: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(silenceFailure(this.asked, what, ms)), ms);
  }

  /** Closes the connection, also that of an answer nobody read to its end. Idempotent. */
  end(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener("abort", this.#giveUp);
    this.#controller.abort();
  }

  /** What a failure is: ours as it is, the reason when we ended the request, else the connection's. */
  failure(error: unknown): CourierError {
    if (this.signal.reason instanceof CourierError) return this.signal.reason;
    if (error instanceof CourierError) return error;
    if (error instanceof z.ZodError) return notOllama(this.asked, "its answer lacks fields that Ollama's has", error);
    return connectionFailure(this.asked, error);
  }

  readonly #giveUp = (): void => {
    this.#controller.abort(
      new CourierError("cancelled", `Cannot ${this.asked.action}: cancelled`, { cause: this.#caller?.reason }),
    );
  };
}
