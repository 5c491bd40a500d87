// A registry on loopback for one pull: it serves one model of the mirror to this box's Ollama, and nothing else.
import { randomBytes } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { asCourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Layer } from "../../../program/registry/manifest.ts";
import { HELPER_NAMESPACE } from "../../../transport/mirror/helper_name.ts";
import type { Mirror, MirroredModel } from "../../../transport/mirror/mirror.ts";

export interface LoopbackRegistryOptions {
  readonly mirror: Pick<Mirror, "openBlob">;
  readonly model: MirroredModel;
  readonly log: Log;
}

const CHUNK_BYTES = 1 << 20;
const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";

/** A range of a blob: `from` up to and not including `to`. */
interface Part {
  readonly from: number;
  readonly to: number;
}

export class LoopbackRegistry implements AsyncDisposable {
  readonly #options: LoopbackRegistryOptions;
  readonly #server: Bun.Server<undefined>;
  /** Nobody can guess it: other users of this machine reach the port too. */
  readonly #repository = `${HELPER_NAMESPACE}/${randomBytes(16).toString("hex")}`;
  readonly #blobs: ReadonlyMap<string, Layer>;

  constructor(options: LoopbackRegistryOptions) {
    this.#options = options;
    this.#blobs = new Map(options.model.manifest.layers.map((layer) => [layer.digest, layer]));
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      // Bun ends a silent connection after 10 s: a share may be silent for longer.
      idleTimeout: 0,
      fetch: async (request) => await this.#answer(request),
    });
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

  async #blob({ method, headers }: Request, pathname: string, layer: Layer): Promise<Response> {
    const range = headers.get("range");
    const part = range === null ? { from: 0, to: layer.bytes } : partOf(range, layer.bytes);
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
      const file = await this.#options.mirror.openBlob(layer);
      if (file === null) return refused(404);
      if (method === "GET") return new Response(this.#bytes(file, part), { status, headers: described });
      await file.close();
      return new Response(null, { status, headers: described });
    } catch (error) {
      this.#failed(error);
      return refused(503);
    }
  }

  /** Read as the client takes them; the file is closed at the end, and when the client is gone, as Ollama is at once. */
  #bytes(file: FileHandle, { from, to }: Part): ReadableStream<Uint8Array> {
    let at = from;
    let isGone = false;
    let reading: Promise<Buffer> = Promise.resolve(Buffer.alloc(0));
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
      try {
        reading = readChunk(file, at, to);
        const chunk = await reading;
        if (isGone) return;
        at += chunk.length;
        if (chunk.length > 0) controller.enqueue(chunk);
        if (chunk.length > 0 && at < to) return;
        await file.close();
        // Shorter than a moment ago: the connection breaks off, and Ollama asks again.
        if (at < to) controller.error(new Error("The file ends too early"));
        else controller.close();
      } catch (error) {
        if (isGone) return;
        this.#failed(error);
        controller.error(error);
        await file.close();
      }
    };
    const cancel = async (): Promise<void> => {
      isGone = true;
      await Promise.allSettled([reading]);
      await file.close();
    };
    return new ReadableStream<Uint8Array>({ pull, cancel }, { highWaterMark: 0 });
  }

  #failed(error: unknown): void {
    const { code, message } = asCourierError(error);
    this.#options.log.warn({ code, reason: message }, "Cannot read the mirror");
  }
}

/** One range of the two kinds that clients send: `bytes=5-9` and `bytes=5-`. Null when it is neither, or beyond the end. */
function partOf(range: string, bytes: number): Part | null {
  const [, from = "", last = ""] = /^bytes=(\d{1,16})-(\d{0,16})$/.exec(range) ?? [];
  const part = { from: Number(from), to: last === "" ? bytes : Math.min(Number(last) + 1, bytes) };
  return from !== "" && part.from < part.to ? part : null;
}

async function readChunk(file: FileHandle, at: number, to: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, to - at));
  if (buffer.length === 0) return buffer;
  const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
  return buffer.subarray(0, bytesRead);
}

function refused(status: number): Response {
  return new Response(null, { status });
}
