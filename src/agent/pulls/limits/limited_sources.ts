// The bytes of every pull within the box's rate: from the mirror, or from the registry in Ollama's place.
import { CourierError } from "../../../base/errors.ts";
import { formatModelName, type ModelName, parseModelName } from "../../../base/model_name.ts";
import { type Layer, parseManifest } from "../../../program/registry/manifest.ts";
import type { RateLimit } from "../../../program/registry/rate_limit.ts";
import { registryHost } from "../../../program/registry/registry_host.ts";
import { ForbiddenRedirect } from "../../../program/registry/requests.ts";
import type { RegistrySource } from "../../../transport/mirror/registry_source.ts";
import type { BytesFinder, ModelBytes } from "../mirror/model_bytes.ts";

export interface LimitedSourcesDeps {
  /** Of the mirror; null: this box uses no mirror. */
  readonly sources: BytesFinder | null;
  readonly registry: Pick<RegistrySource, "readManifest" | "readBlob">;
  readonly limit: RateLimit;
  /** Registries past the limit, as `parseSkippedRegistry()` returns them: Ollama asks them itself. */
  readonly skipped: readonly string[];
}

export class LimitedSources implements BytesFinder {
  readonly #deps: LimitedSourcesDeps;

  constructor(deps: LimitedSourcesDeps) {
    this.#deps = deps;
  }

  /**
   * @returns null only for a registry that is skipped
   * @throws CourierError as the mirror's; as `RegistrySource.readManifest`, `forbidden` also when the registry wants Ollama's key
   */
  async bytesOf(model: string, signal = new AbortController().signal): Promise<ModelBytes | null> {
    const { sources, registry, limit, skipped } = this.#deps;
    const copy = (await sources?.bytesOf(model, signal)) ?? null;
    if (copy !== null) return limited(copy, limit);
    const name = parseModelName(model);
    if (skipped.includes(registryHost(name.host, "https") ?? name.host)) return null;
    return await registryBytes(name, { registry, limit }, signal);
  }
}

/** A value of `--pull-rate-skip`. @throws CourierError `invalid` with an example */
export function parseSkippedRegistry(text: string): string {
  const host = /^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d+)?$/i.test(text) ? registryHost(text, "https") : undefined;
  if (host !== undefined) return host;
  throw new CourierError("invalid", `Cannot use ${JSON.stringify(text)} as a registry`, {
    hint: "Give its host, for example --pull-rate-skip registry.example:5000",
  });
}

type ReadingDeps = Pick<LimitedSourcesDeps, "registry" | "limit">;

async function registryBytes(name: ModelName, deps: ReadingDeps, signal: AbortSignal): Promise<ModelBytes> {
  const text = await readManifest(name, deps.registry, signal);
  const manifest = parseManifest(text);
  if (manifest === null) throw new CourierError("unavailable", `${name.host} sends a manifest that cannot be read`);
  return {
    text,
    layers: manifest.layers,
    place: { name: name.host, unreadableHint: undefined, damaged: null },
    read: (layer, from, to, left) => readPart(name, deps, layer, { from, to }, left),
  };
}

async function readManifest(
  name: ModelName,
  registry: LimitedSourcesDeps["registry"],
  signal: AbortSignal,
): Promise<string> {
  try {
    return await registry.readManifest(name, signal);
  } catch (error) {
    const isLogin =
      error instanceof CourierError && error.code === "forbidden" && !(error instanceof ForbiddenRedirect);
    if (!isLogin) throw error;
    const model = JSON.stringify(formatModelName(name));
    throw new CourierError("forbidden", `Cannot pull ${model} within this box's rate: ${error.message}`, {
      hint: `Its administrator can let pulls from ${name.host} go past the rate: --pull-rate-skip ${name.host}`,
      cause: error,
    });
  }
}

interface Part {
  readonly from: number;
  readonly to: number;
}

/**
 * Asks for no more than may pass now: what the registry sends at once waits in the buffers of a connection, some megabytes of
 * each, and would have come too fast. One without ranges sends all that follows: that is taken as it comes.
 */
async function* readPart(
  name: ModelName,
  { registry, limit }: ReadingDeps,
  layer: Layer,
  { from, to }: Part,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  for (let at = from; at < to; ) {
    const before = at;
    const end = Math.min(to, at + limit.sliceBytes);
    await limit.take(end - at, signal);
    if (signal.aborted) return;
    for await (const chunk of registry.readBlob(name, layer, at, signal, end)) {
      const wanted = chunk.subarray(0, to - at);
      at += wanted.byteLength;
      const unasked = Math.min(wanted.byteLength, at - end);
      if (unasked > 0) await limit.take(unasked, signal);
      if (wanted.byteLength > 0) yield wanted;
      if (wanted.byteLength < chunk.byteLength) return;
    }
    if (at === before) throw new CourierError("unavailable", `${name.host} sends no data`);
  }
}

function limited(bytes: ModelBytes, limit: RateLimit): ModelBytes {
  return { ...bytes, read: (...asked) => slices(bytes.read(...asked), limit, asked[3]) };
}

async function* slices(
  chunks: AsyncGenerator<Uint8Array, void>,
  limit: RateLimit,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const { sliceBytes } = limit;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength; at += sliceBytes) {
      const slice = chunk.subarray(at, at + sliceBytes);
      await limit.take(slice.byteLength, signal);
      if (signal.aborted) return;
      yield slice;
    }
  }
}
