// A registry that Ollama can pull from over plain HTTP, with models that misbehave on request, and counters of what it served.
// For tests: real bytes, made up.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Blob } from "./blob.ts";
import type { RegistryFault } from "./faults.ts";

export interface OfferedModel {
  /** Bytes of each layer. */
  readonly layers: readonly number[];
  /** Of each connection; default: as fast as it goes. */
  readonly bytesPerSecond?: number;
  /** Models of one content share the layers that are of the same place and size; default: the model's own. */
  readonly content?: string;
}

/** How much of a model was served. */
export interface Served {
  /** Of its layers, over all requests. */
  bytes: number;
  /** Requests under way that fetch data. */
  open: number;
  /** Those that anyone who asked ended before they were done. */
  closed: number;
}

interface Entry {
  readonly blobs: ReadonlyMap<string, Blob>;
  readonly config: string;
  readonly configDigest: string;
  readonly manifest: string;
  readonly served: Served;
  readonly layerBytes: number;
  bytesPerSecond: number;
  fault: RegistryFault | null;
}

const BLOCK_BYTES = 65_536;
const LOOK_MS = 10;
const BURST_MS = 100;

export class Registry {
  readonly #server: Server;
  readonly #models = new Map<string, Entry>();
  readonly #manifestRequests = new Map<string, number>();
  readonly #stopped = new AbortController();

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  /** @param port 0: any free one */
  static async start(port = 0): Promise<Registry> {
    const registry = new Registry();
    await new Promise<void>((resolve) => registry.#server.listen(port, "127.0.0.1", resolve));
    return registry;
  }

  /** `127.0.0.1:PORT`, the prefix of a model's name. */
  get host(): string {
    const address: string | AddressInfo | null = this.#server.address();
    return `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  }

  /** @returns the name to pull */
  offer(model: string, { layers, bytesPerSecond = Infinity, content = model }: OfferedModel): string {
    const blobs = layers.map((size, index) => new Blob(`${content} ${index}`, size));
    const config = JSON.stringify({
      model_format: "gguf",
      model_family: "llama",
      model_type: "1K",
      file_type: "F32",
      model,
    });
    const configDigest = `sha256:${new Bun.CryptoHasher("sha256").update(config).digest("hex")}`;
    this.#models.set(model, {
      blobs: new Map(blobs.map((blob) => [blob.digest, blob])),
      config,
      configDigest,
      manifest: manifestText(blobs, configDigest, config.length),
      served: { bytes: 0, open: 0, closed: 0 },
      layerBytes: layers.reduce((sum, size) => sum + size, 0),
      bytesPerSecond,
      fault: null,
    });
    return `${this.host}/library/${model}:latest`;
  }

  /** Breaks a model that is offered; null heals it, and what stalled goes on. */
  break(model: string, fault: RegistryFault | null): void {
    this.#entry(model).fault = fault;
  }

  setSpeed(model: string, bytesPerSecond: number): void {
    this.#entry(model).bytesPerSecond = bytesPerSecond;
  }

  served(model: string): Readonly<Served> {
    return this.#entry(model).served;
  }

  /** How often its manifest was asked for, offered or not. */
  manifestRequests(model: string): number {
    return this.#manifestRequests.get(model) ?? 0;
  }

  /** The SHA-256 of its manifest, as Ollama lists it. */
  manifestDigest(model: string): string {
    return new Bun.CryptoHasher("sha256").update(this.#entry(model).manifest).digest("hex");
  }

  /** Of the model's layers, without its config. */
  digests(model: string): string[] {
    return [...this.#entry(model).blobs.keys()];
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #entry(model: string): Entry {
    const entry = this.#models.get(model);
    if (entry === undefined) throw new Error(`Not offered: ${model}`);
    return entry;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, version, , model = "", what, reference = ""] = (request.url ?? "").split("/");
    const entry = version === "v2" ? this.#models.get(model) : undefined;
    if (what === "manifests") this.#manifestRequests.set(model, this.manifestRequests(model) + 1);
    if (entry === undefined) return reply(response, 404, "no such model");
    const { fault } = entry;
    if (what === "manifests") {
      return fault?.kind === "manifest" ? reply(response, fault.status, "boom") : reply(response, 200, entry.manifest);
    }
    const isData = request.headers.range !== undefined;
    const isOwn = reference !== entry.configDigest;
    if (isOwn && (fault?.kind === "blob" || (fault?.kind === "data" && isData))) {
      return reply(response, fault.status, "boom");
    }
    if (!isOwn) return this.#replyConfig(request, response, entry);
    const blob = entry.blobs.get(reference);
    if (blob === undefined) return reply(response, 404, "no such blob");
    return await this.#serve(request, response, entry, blob);
  }

  #replyConfig(request: IncomingMessage, response: ServerResponse, { config }: Entry): void {
    response.setHeader("Location", request.url ?? "");
    response.setHeader("Content-Length", config.length);
    response.end(request.method === "HEAD" ? undefined : config);
  }

  async #serve(request: IncomingMessage, response: ServerResponse, entry: Entry, blob: Blob): Promise<void> {
    const [, from = "0", to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    const start = Number(from);
    const end = to === undefined ? blob.size : Number(to) + 1;
    // Ollama takes the address of the data from here, also where it stays the same.
    response.setHeader("Location", request.url ?? "");
    response.setHeader("Content-Length", end - start);
    if (to === undefined) {
      // The one without a range only wants to know that address: anyone who sends it hangs up.
      response.writeHead(200);
      if (request.method === "HEAD") response.end();
      // With a first byte: flushHeaders() of Bun 1.4.5 sends them not every time, and anyone who asked waits forever.
      else response.write(blob.slice(0, 1));
      return;
    }
    response.setHeader("Content-Range", `bytes ${start}-${end - 1}/${blob.size}`);
    response.writeHead(206);
    const closed = new AbortController();
    response.on("close", () => closed.abort());
    entry.served.open += 1;
    try {
      await this.#send(response, entry, blob, start, end, AbortSignal.any([closed.signal, this.#stopped.signal]));
    } finally {
      entry.served.open -= 1;
    }
  }

  async #send(
    response: ServerResponse,
    entry: Entry,
    blob: Blob,
    start: number,
    end: number,
    signal: AbortSignal,
  ): Promise<void> {
    const isWrong = entry.fault?.kind === "wrong" && entry.fault.times-- > 0;
    const budget = new Budget();
    for (let at = start; at < end; ) {
      if (signal.aborted) {
        entry.served.closed += 1;
        return;
      }
      const { fault } = entry;
      const limit = fault?.kind === "stall" || fault?.kind === "cut" ? Math.max(fault.atByte, start) : end;
      const bytes = blob.slice(at, Math.min(end, limit, at + budget.take(entry.bytesPerSecond)), isWrong);
      const isTaken = response.write(bytes);
      entry.served.bytes += bytes.length;
      at += bytes.length;
      if (!isTaken) await drained(response, signal);
      if (fault?.kind === "cut" && at >= limit) {
        response.socket?.destroySoon();
        return;
      }
      // Anyone who reads may be of this process.
      if (bytes.length > 0 && !budget.isSpent) await new Promise((resolve) => setImmediate(resolve));
      else await Bun.sleep(LOOK_MS);
    }
    response.end();
  }
}

/** How much may be sent now at a speed: what a busy machine did not send in time is not sent later at once. */
class Budget {
  #bytes = 0;
  #atMs = performance.now();

  /** @returns at most one block */
  take(bytesPerSecond: number): number {
    if (!Number.isFinite(bytesPerSecond)) {
      this.#bytes = BLOCK_BYTES * 2;
    } else {
      const nowMs = performance.now();
      const gained = (bytesPerSecond * Math.min(nowMs - this.#atMs, BURST_MS)) / 1000;
      this.#bytes = Math.min(this.#bytes + gained, Math.max(BLOCK_BYTES, (bytesPerSecond * BURST_MS) / 1000));
      this.#atMs = nowMs;
    }
    const taken = Math.min(BLOCK_BYTES, Math.floor(this.#bytes));
    this.#bytes -= taken;
    return taken;
  }

  get isSpent(): boolean {
    return this.#bytes < 1;
  }
}

function reply(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-length": Buffer.byteLength(body) });
  response.end(body);
}

async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    response.once("drain", resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function manifestText(blobs: readonly Blob[], configDigest: string, configBytes: number): string {
  const layer = (kind: string, digest: string, size: number) => ({
    mediaType: `application/vnd.${kind}`,
    digest,
    size,
  });
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.docker.distribution.manifest.v2+json",
    config: layer("docker.container.image.v1+json", configDigest, configBytes),
    layers: blobs.map(({ digest, size }, index) => {
      return layer(index === 0 ? "ollama.image.model" : "ollama.image.license", digest, size);
    }),
  });
}
