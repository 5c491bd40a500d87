// The mirror that a gpu-server serves, for boxes that cannot mount it. Its answers are untrusted.
import { type Clock, within } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import { readBounded } from "../../../base/foreign_text.ts";
import { formatModelName, type ModelName, parseModelName } from "../../../base/model_name.ts";
import { Slots } from "../../../base/slots.ts";
import { connectionReason } from "../../../program/registry/connection.ts";
import { type Layer, MAX_MANIFEST_BYTES, parseManifest } from "../../../program/registry/manifest.ts";
import { MAX_SIGNATURE_BYTES, type MirroredModel } from "../../../transport/mirror/mirror.ts";
import type { OpenFile } from "../../../transport/mirror/reading/guard.ts";
import type { MirrorReader, WantedPart } from "../../../transport/mirror/reading/reader.ts";
import { RemoteBlob } from "./remote_blob.ts";

export interface RemoteMirrorOptions {
  /** `https://server/mirror`, as `parseMirrorUrl` returns it. */
  readonly base: string;
  /** Reads it from its file: a new one counts from then on. @throws CourierError when it cannot be used */
  readonly token: () => string;
  /** The certificates of authorities, in PEM; undefined: those of Bun. */
  readonly ca: readonly string[] | undefined;
  readonly clock: Clock;
}

/** Ollama asks for 16 parts of a blob at a time. A server has many boxes, and more connections make none faster. */
const BLOBS_AT_A_TIME = 4;
const TIMEOUT_MS = 30_000;
/** For a place on a server that sends to many boxes. */
const MAX_WAITS = 30;
const MAX_WAIT_MS = 10_000;
/** Every answer of a registry has it: a 404 without it is about the address, and not about the model. */
const API_VERSION = "docker-distribution-api-version";

export class RemoteMirror implements MirrorReader {
  readonly #options: RemoteMirrorOptions;
  readonly #slots = new Slots(BLOBS_AT_A_TIME);
  /** Beside those: a pull that begins should not wait until parts of others are there. */
  readonly #looks = new Slots(BLOBS_AT_A_TIME);

  constructor(options: RemoteMirrorOptions) {
    this.#options = options;
  }

  async find(model: string): Promise<MirroredModel | null> {
    const name = parseModelName(model);
    const text = await this.#text(`${pathOf(name)}/manifests/${name.tag}`, MAX_MANIFEST_BYTES);
    if (text === null) return null;
    const manifest = parseManifest(text);
    if (manifest !== null) return { name, text, manifest };
    throw new CourierError("conflict", `The mirror's manifest of ${formatModelName(name)} cannot be read`, {
      hint: "Remove it where the mirror is, and add the model again: gpuctl mirror rm",
    });
  }

  async missing(layers: readonly Layer[], of: ModelName): Promise<readonly Layer[]> {
    const isThere = async (layer: Layer): Promise<boolean> =>
      await this.#looks.run(async () => (await this.#sizeOf(layer, of)) === layer.bytes);
    const found = await Promise.all(layers.map(isThere));
    return layers.filter((_, index) => found[index] !== true);
  }

  async openBlob(layer: Layer, part: WantedPart): Promise<OpenFile | null> {
    if (part.from >= part.to) return (await this.#sizeOf(layer, part.name)) === layer.bytes ? RemoteBlob.empty() : null;
    const opened = Promise.withResolvers<RemoteBlob | null>();
    const reading = this.#slots.run(async () => {
      const blob = part.signal.aborted ? null : await this.#open(layer, part);
      opened.resolve(blob);
      await blob?.closed;
    });
    reading.catch(opened.reject);
    return await opened.promise;
  }

  async readSignature(name: ModelName): Promise<string | null> {
    return await this.#text(`${pathOf(name)}/signatures/${name.tag}`, MAX_SIGNATURE_BYTES);
  }

  /** Null: the mirror has no such blob. */
  async #sizeOf({ digest }: Layer, of: ModelName): Promise<number | null> {
    const response = await this.#ask("HEAD", `${pathOf(of)}/blobs/${digest}`);
    return response === null ? null : Number(response.headers.get("content-length") ?? Number.NaN);
  }

  async #open({ digest, bytes }: Layer, { name, from, to, signal }: WantedPart): Promise<RemoteBlob | null> {
    const range = `bytes=${from}-${to - 1}`;
    const stop = new AbortController();
    const ended = AbortSignal.any([signal, stop.signal]);
    const response = await this.#ask("GET", `${pathOf(name)}/blobs/${digest}`, { headers: { range }, signal: ended });
    if (response === null) return null;
    const isPart = response.headers.get("content-range") === `bytes ${from}-${to - 1}/${bytes}`;
    if (response.status === 206 && isPart && response.body !== null)
      return new RemoteBlob(response.body, { stop, silentMs: TIMEOUT_MS, clock: this.#options.clock });
    stop.abort();
    // It was replaced, or is being copied there.
    return null;
  }

  async #text(path: string, maxBytes: number): Promise<string | null> {
    const stop = new AbortController();
    const { clock } = this.#options;
    try {
      const response = await this.#ask("GET", path, { signal: stop.signal });
      if (response === null) return null;
      const text = await within(clock, TIMEOUT_MS, readBounded(response.body, maxBytes), null);
      if (text !== null) return text;
    } catch (error) {
      throw this.#failure(error);
    } finally {
      stop.abort();
    }
    throw new CourierError("unavailable", `${this.#options.base} sends what is too large, or sends it too slowly`);
  }

  /** Waits while the server has no place. @returns null when the mirror has no such thing */
  async #ask(method: string, path: string, sent: Sent = {}): Promise<Response | null> {
    for (let waits = 0; ; waits++) {
      const response = await this.#fetch(method, path, sent);
      if (response.ok) return response;
      await response.body?.cancel();
      const { status, headers } = response;
      if (status === 404 && headers.get(API_VERSION) !== null) return null;
      if (status !== 429 || waits === MAX_WAITS) throw statusFailure(this.#options.base, status, path);
      const waitMs = Number(headers.get("retry-after") ?? 1) * 1000;
      await this.#options.clock.sleep(Math.min(Math.max(waitMs || 1000, 1000), MAX_WAIT_MS), sent.signal);
      if (sent.signal?.aborted) throw new CourierError("cancelled", "Cancelled");
    }
  }

  async #fetch(method: string, path: string, { headers = {}, signal }: Sent): Promise<Response> {
    const { base, token, ca, clock } = this.#options;
    const [late, answered] = [new AbortController(), new AbortController()];
    void clock.sleep(TIMEOUT_MS, answered.signal).then(() => answered.signal.aborted || late.abort());
    try {
      return await fetch(`${base}/v2/${path}`, {
        method,
        headers: { ...headers, authorization: `Bearer ${token()}`, "accept-encoding": "identity" },
        redirect: "manual",
        signal: signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]),
        timeout: false,
        // Bun asks a proxy of the environment even for 127.0.0.1, and would show it the token.
        ...(base.startsWith("http:") ? { proxy: false as const } : {}),
        ...(ca === undefined ? {} : { tls: { ca: [...ca] } }),
      });
    } catch (error) {
      if (late.signal.aborted)
        throw new CourierError("unavailable", `${base} does not answer within ${TIMEOUT_MS / 1000} s`);
      if (signal?.aborted === true) throw new CourierError("cancelled", "Cancelled");
      throw this.#failure(error);
    } finally {
      answered.abort();
    }
  }

  #failure(error: unknown): CourierError {
    if (error instanceof CourierError) return error;
    const { text } = connectionReason(error);
    return new CourierError("unavailable", `The mirror at ${this.#options.base} ${text}`, { cause: error });
  }
}

interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

function pathOf({ host, namespace, model }: ModelName): string {
  return [host, namespace, model].map(encodeURIComponent).join("/");
}

function statusFailure(base: string, status: number, path: string): CourierError {
  if (status === 401 || status === 403)
    return new CourierError("forbidden", `The mirror at ${base} refuses this box's token`, {
      hint: "Add one on the server: gpu-server token add NAME --role mirror. Name its file with --mirror-token-file",
    });
  if (status === 404)
    return new CourierError("unavailable", `There is no mirror at ${base}`, {
      hint: "Is gpu-server started with --serve-mirror? The address ends with /mirror",
    });
  if (status === 409) return new CourierError("conflict", `The mirror at ${base} cannot read what it has of ${path}`);
  if (status >= 300 && status < 400)
    return new CourierError("unavailable", `The mirror at ${base} redirects, which is not followed`, {
      hint: "Name the address that it redirects to in --mirror-url",
    });
  return new CourierError("unavailable", `The mirror at ${base} answers with status ${status}`);
}
