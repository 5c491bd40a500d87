// A registry on loopback for one pull: it serves the bytes of one model to this box's Ollama, and nothing else.
import { randomBytes } from "node:crypto";
import { systemClock } from "../../../base/clock.ts";
import { asCourierError, type CourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Layer } from "../../../program/registry/manifest.ts";
import { HELPER_NAMESPACE } from "../../../transport/mirror/helper_name.ts";
import { rangeOf } from "../../../transport/mirror/reading/byte_range.ts";
import type { ModelBytes } from "./model_bytes.ts";

export interface LoopbackRegistryOptions {
  readonly model: ModelBytes;
  readonly log: Log;
}

const LEAVES_WITHIN_MS = 300;
const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";

export class LoopbackRegistry implements AsyncDisposable {
  readonly #options: LoopbackRegistryOptions;
  readonly #server: Bun.Server<undefined>;
  /** Nobody can guess it: other users of this machine reach the port too. */
  readonly #repository = `${HELPER_NAMESPACE}/${randomBytes(16).toString("hex")}`;
  readonly #blobs: ReadonlyMap<string, Layer>;

  #failure: CourierError | undefined;

  constructor(options: LoopbackRegistryOptions) {
    this.#options = options;
    this.#blobs = new Map(options.model.layers.map((layer) => [layer.digest, layer]));
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      // Bun ends a silent connection after 10 s: a share may be silent for longer.
      idleTimeout: 0,
      fetch: async (request) => await this.#answer(request),
    });
  }

  /** Why bytes could not be read, the last time that they could not. */
  get failure(): CourierError | undefined {
    return this.#failure;
  }

  /** The name under which Ollama can pull the model: a helper name. */
  get modelName(): string {
    return `${this.#host}/${this.#repository}:latest`;
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    await this.#server.stop(true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #host(): string {
    return `127.0.0.1:${this.#server.port}`;
  }

  async #answer(request: Request): Promise<Response> {
    // A page in a browser on this machine could reach the port by a name of its own.
    if (request.headers.get("host") !== this.#host) return refused(403);
    if (request.method !== "GET" && request.method !== "HEAD") return refused(405);
    const { pathname } = new URL(request.url);
    const path = `/v2/${this.#repository}`;
    if (pathname === `${path}/manifests/latest`) return this.#manifest();
    const blobs = `${path}/blobs/`;
    const layer = pathname.startsWith(blobs) ? this.#blobs.get(pathname.slice(blobs.length)) : undefined;
    return layer === undefined ? refused(404) : await this.#blob(request, pathname, layer);
  }

  #manifest(): Response {
    return new Response(this.#options.model.text, { headers: { "content-type": MANIFEST_TYPE } });
  }

  async #blob({ method, headers, signal }: Request, pathname: string, layer: Layer): Promise<Response> {
    const range = headers.get("range");
    const part = rangeOf(range, layer.bytes);
    if (part === null)
      return new Response(null, { status: 416, headers: { "content-range": `bytes */${layer.bytes}` } });
    const described = {
      // Ollama takes the address of the data from here, also where it stays the same.
      location: pathname,
      "accept-ranges": "bytes",
      "content-type": "application/octet-stream",
      "content-length": String(part.to - part.from),
      ...(range === null ? {} : { "content-range": `bytes ${part.from}-${part.to - 1}/${layer.bytes}` }),
    };
    const status = range === null ? 200 : 206;
    try {
      const { model } = this.#options;
      const body = await this.#open(signal, (left) => {
        if (method === "HEAD") return model.read(layer, 0, 0, left);
        return range === null ? wholeBlob(model, layer, left) : model.read(layer, part.from, part.to, left);
      });
      return new Response(method === "GET" ? body : null, { status, headers: described });
    } catch (error) {
      // A client that has left ends the reading, however it fails then.
      if (signal.aborted) return refused(503);
      return refused(this.#failed(error).code === "not_found" ? 404 : 503);
    }
  }

  /** Read as the client takes them, and left when the client is gone, as Ollama is at once. Begins before it is answered. */
  async #open(
    client: AbortSignal,
    read: (left: AbortSignal) => AsyncGenerator<Uint8Array, void>,
  ): Promise<ReadableStream<Uint8Array>> {
    const left = new AbortController();
    const bytes = read(left.signal);
    const cancel = async (): Promise<void> => {
      left.abort();
      await bytes.return();
    };
    // A stream whose client has left before its answer is never cancelled.
    client.addEventListener("abort", () => void cancel().catch((error: unknown) => this.#failed(error)), {
      once: true,
    });
    let first: IteratorResult<Uint8Array, void> | null = await bytes.next();
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
      try {
        const { value, done } = first ?? (await bytes.next());
        first = null;
        if (left.signal.aborted) return;
        if (done === true) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        // The connection breaks off, and Ollama asks again.
        if (!left.signal.aborted) controller.error(this.#failed(error));
      }
    };
    return new ReadableStream<Uint8Array>({ pull, cancel }, { highWaterMark: 0 });
  }

  #failed(error: unknown): CourierError {
    const failure = asCourierError(error);
    const { code, message: reason } = failure;
    this.#failure = failure;
    this.#options.log.warn({ code, reason }, `Cannot read ${this.#options.model.place.name}`);
    return failure;
  }
}

/**
 * All of a blob. Ollama asks for it only to learn its address, and leaves with the first byte: no more is read before it could
 * have done so, least of all from a registry far away.
 */
async function* wholeBlob(model: ModelBytes, layer: Layer, left: AbortSignal): AsyncGenerator<Uint8Array, void> {
  yield* model.read(layer, 0, Math.min(1, layer.bytes), left);
  await systemClock.sleep(LEAVES_WITHIN_MS, left);
  if (!left.aborted) yield* model.read(layer, 1, layer.bytes, left);
}

function refused(status: number): Response {
  return new Response(null, { status });
}
