// Reads a model from its registry, for the mirror: the manifest as text, and blobs from any byte on. Its answers are untrusted.
import { CourierError } from "../../base/errors.ts";
import { readBounded } from "../../base/foreign_text.ts";
import { formatModelName, type ModelName } from "../../base/model_name.ts";
import { type Layer, MAX_MANIFEST_BYTES } from "../../program/registry/manifest.ts";

export interface RegistrySourceOptions {
  /** Whether a registry may be reached without TLS. */
  readonly isInsecure: (host: string) => boolean;
  /** How long a registry may be silent. */
  readonly silenceMs?: number;
}

const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";

export class RegistrySource {
  readonly #isInsecure: RegistrySourceOptions["isInsecure"];
  readonly #silenceMs: number;

  constructor({ isInsecure, silenceMs = 30_000 }: RegistrySourceOptions) {
    this.#isInsecure = isInsecure;
    this.#silenceMs = silenceMs;
  }

  /** @throws CourierError `not_found`; `forbidden` when it asks for a login; `unavailable` */
  async readManifest(name: ModelName, signal: AbortSignal): Promise<string> {
    const silence = new Silence(this.#silenceMs, signal);
    try {
      const url = `${this.#model(name)}/manifests/${name.tag}`;
      const response = await this.#ask(name, url, { accept: MANIFEST_TYPE }, silence);
      const text = response.status === 200 ? await readBounded(response.body, MAX_MANIFEST_BYTES) : null;
      if (text !== null) return text;
      throw new CourierError("unavailable", `${name.host} sends a manifest that cannot be read`);
    } catch (error) {
      throw silence.failure(name.host, error);
    } finally {
      silence.end();
    }
  }

  /** The bytes of a blob from this one on. @throws CourierError as `readManifest`, also when it ends too early */
  async *readBlob(
    name: ModelName,
    { digest, bytes }: Layer,
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const silence = new Silence(this.#silenceMs, signal);
    try {
      const range = `bytes=${from}-${bytes - 1}`;
      const response = await this.#ask(name, `${this.#model(name)}/blobs/${digest}`, { range }, silence);
      // Without ranges it sends all of it.
      let skipped = response.status === 206 ? from : 0;
      for await (const chunk of response.body ?? []) {
        silence.begin();
        const skip = Math.min(chunk.byteLength, from - skipped);
        skipped += skip;
        if (skip < chunk.byteLength) yield chunk.subarray(skip);
      }
    } catch (error) {
      throw silence.failure(name.host, error);
    } finally {
      silence.end();
    }
  }

  #model({ host, namespace, model }: ModelName): string {
    return `${this.#isInsecure(host) ? "http" : "https"}://${host}/v2/${namespace}/${model}`;
  }

  async #ask(name: ModelName, url: string, headers: Record<string, string>, silence: Silence): Promise<Response> {
    silence.begin();
    // A registry without TLS is near: no proxy leads there.
    const proxy = url.startsWith("http:") ? { proxy: false as const } : {};
    const response = await fetch(url, { headers, signal: silence.signal, timeout: false, ...proxy });
    if (response.ok) return response;
    await response.body?.cancel();
    throw statusFailure(name, response.status);
  }
}

/** Ends a request that nothing comes from. */
class Silence {
  readonly #ended = new AbortController();
  readonly #caller: AbortSignal;
  readonly #ms: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(ms: number, caller: AbortSignal) {
    this.#ms = ms;
    this.#caller = caller;
  }

  get signal(): AbortSignal {
    return AbortSignal.any([this.#caller, this.#ended.signal]);
  }

  /** It counts from now. */
  begin(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#isOver = true;
      this.#ended.abort();
    }, this.#ms);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#ended.abort();
  }

  failure(host: string, cause: unknown): CourierError {
    if (cause instanceof CourierError) return cause;
    if (this.#caller.aborted) return new CourierError("cancelled", "Cancelled");
    const why = this.#isOver ? `sends nothing for ${this.#ms / 1000} s` : "cannot be reached, or ended the connection";
    return new CourierError("unavailable", `${host} ${why}`, { cause, hint: "Can this machine reach the registry?" });
  }
}

function statusFailure(name: ModelName, status: number): CourierError {
  const model = formatModelName(name);
  if (status === 404 || status === 410) {
    return new CourierError("not_found", `${name.host} has no ${model}`, { hint: "Check the name and the tag" });
  }
  if (status === 401 || status === 403)
    return new CourierError("forbidden", `${name.host} asks for a login to read ${model}`);
  return new CourierError("unavailable", `${name.host} answers ${status}`);
}
