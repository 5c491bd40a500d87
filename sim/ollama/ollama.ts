// A simulated Ollama: the HTTP API of the real one over models that have names and sizes but no content.
import { Catalog, DEFAULT_CATALOGUE } from "./catalog.ts";
import { Downloads } from "./downloads.ts";
import { type Faults, noFaults } from "./faults.ts";
import { type ModelSpec, makeManifest } from "./manifest.ts";
import { ModelsDir } from "./models_dir.ts";
import { parseName, showName } from "./name.ts";
import { answer, type Counters, type RouteParts } from "./routes.ts";
import { Store } from "./store.ts";
import { REAL_TIMING, type TransferTiming } from "./transfer.ts";

export interface SimulationOptions {
  /** An address of this machine to listen on; default 127.0.0.1. */
  readonly host?: string;
  /** 0, the default: any free one. */
  readonly port?: number;
  readonly version?: string;
  /** Models that can be pulled; by default a few small models with the sizes of real ones. */
  readonly catalog?: readonly ModelSpec[];
  /** Models that are installed from the start. */
  readonly installed?: readonly ModelSpec[];
  /** Of each blob's download; default 100 MB/s. Infinity: whole at once. */
  readonly bytesPerSecond?: number;
  /** `host:port` of registries that speak plain HTTP: a pull from them needs `insecure`. */
  readonly plainHttpRegistries?: readonly string[];
  readonly progressIntervalMs?: number;
  /** Where it keeps its models over a restart. Then registries on 127.0.0.1 that the catalog lacks are really asked. */
  readonly modelsDir?: string;
  /** Pauses and timeouts with such a registry; the defaults are the real one's. */
  readonly timing?: Partial<TransferTiming>;
}

export interface SimulatedOllama {
  readonly url: string;
  readonly port: number;
  /** Set a field and it is broken, set it back and it is healed. */
  readonly faults: Faults;
  readonly counters: Counters;
  /** Bytes fetched so far, what a resumed pull need not fetch again counted once; `bytesPerSecond` may be set. */
  readonly downloads: Downloads;
  /** Names of the installed models, newest first. */
  installed(): string[];
  /** Puts a model there as if it had been pulled before. */
  install(spec: ModelSpec): void;
  /** Adds a model to the catalog, or replaces it: the next pull of its name finds a new manifest. */
  offer(spec: ModelSpec): void;
  /** Loads an installed model, as a first prompt would. */
  load(name: string): void;
  /** Bytes kept of this model's unfinished blobs, those under way not counted. */
  partialBytes(name: string): number;
  /** Connections are refused until `accept()`; those that are open are cut. */
  refuse(): Promise<void>;
  accept(): void;
  stop(): Promise<void>;
}

export async function startSimulatedOllama(options: SimulationOptions = {}): Promise<SimulatedOllama> {
  const modelsDir = options.modelsDir === undefined ? undefined : new ModelsDir(options.modelsDir);
  const store = new Store(modelsDir);
  const faults = noFaults();
  const catalog = new Catalog(options.catalog ?? DEFAULT_CATALOGUE);
  const downloads = new Downloads(store, faults, options.bytesPerSecond ?? 100_000_000);
  const counters: Counters = { openPulls: 0, requests: {} };
  const parts: RouteParts = {
    store,
    faults,
    catalog,
    downloads,
    counters,
    version: options.version ?? "0.32.15",
    plainHttpRegistries: options.plainHttpRegistries ?? [],
    progressIntervalMs: options.progressIntervalMs ?? 60,
    modelsDir,
    timing: { ...REAL_TIMING, ...options.timing },
  };
  const host = options.host ?? "127.0.0.1";
  const listener = new Listener(parts, host, options.port ?? 0);
  for (const spec of options.installed ?? []) install(spec, store);
  return {
    url: `http://${host}:${listener.port}`,
    port: listener.port,
    faults,
    counters,
    downloads,
    ...modelsOf(parts),
    refuse: async () => await listener.close(),
    accept: () => listener.open(),
    stop: async () => await listener.close(),
  };
}

/** One port, opened and closed at will. */
class Listener {
  readonly port: number;
  readonly #parts: RouteParts;
  readonly #host: string;
  #open: { readonly server: Bun.Server<undefined>; readonly stopped: AbortController } | undefined;

  constructor(parts: RouteParts, host: string, port: number) {
    this.#parts = parts;
    this.#host = host;
    this.port = port;
    this.port = this.open();
  }

  open(): number {
    if (this.#open !== undefined) return this.port;
    const stopped = new AbortController();
    const server = Bun.serve({
      hostname: this.#host,
      port: this.port,
      // Bun cuts a silent connection after 10 s by default: streams that stall must stay open.
      idleTimeout: 0,
      fetch: async (request) => await answer(request, this.#parts, stopped.signal),
    });
    this.#open = { server, stopped };
    return server.port ?? 0;
  }

  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    open?.stopped.abort();
    await open?.server.stop(true);
  }
}

function modelsOf(
  parts: RouteParts,
): Pick<SimulatedOllama, "installed" | "install" | "offer" | "load" | "partialBytes"> {
  const { store, catalog } = parts;
  return {
    installed: () => store.list().map((model) => showName(model.name)),
    install: (spec) => install(spec, store),
    offer: (spec) => catalog.offer(spec),
    load: (name) => load(name, store),
    partialBytes: (name) => partialBytes(name, parts),
  };
}

function install(spec: ModelSpec, store: Store): void {
  const manifest = makeManifest(spec);
  store.install(manifest.name, manifest);
}

function load(name: string, store: Store): void {
  const parsed = parseName(name);
  const model = parsed === null ? undefined : store.find(parsed);
  if (model === undefined) throw new Error(`Not installed: ${name}`);
  store.load(model, 5 * 60_000);
}

function partialBytes(name: string, { catalog, store }: RouteParts): number {
  const parsed = parseName(name);
  const manifest = parsed === null ? undefined : catalog.find(parsed);
  return (manifest?.layers ?? []).reduce((sum, { digest }) => sum + store.partialBytes(digest), 0);
}
