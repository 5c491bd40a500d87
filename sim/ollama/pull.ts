// The lines of a simulated pull.
import { systemClock } from "#src/base/clock.ts";
import type { Catalog } from "./catalog.ts";
import type { Download, Downloads } from "./downloads.ts";
import type { Faults } from "./faults.ts";
import type { Layer, Manifest } from "./manifest.ts";
import type { ModelsDir } from "./models_dir.ts";
import type { Name } from "./name.ts";
import { PullCut, PullError } from "./pull_error.ts";
import { blobUrl, fetchManifest, isReal } from "./registry_client.ts";
import type { Store } from "./store.ts";
import { Transfer, type TransferTiming } from "./transfer.ts";

export interface PullParts {
  readonly store: Store;
  readonly downloads: Downloads;
  readonly catalog: Catalog;
  readonly faults: Faults;
  readonly plainHttpRegistries: readonly string[];
  readonly progressIntervalMs: number;
  /** Given: models that the catalog lacks are pulled from registries of this machine that really answer, into it. */
  readonly modelsDir: ModelsDir | undefined;
  readonly timing: TransferTiming;
}

/** Pulls, yielding each line as an object; throws `PullError` and `PullCut`. Aborting gives the downloads up. */
export async function* pull(
  name: Name,
  insecure: boolean,
  signal: AbortSignal,
  parts: PullParts,
): AsyncGenerator<Record<string, unknown>> {
  yield { status: "pulling manifest" };
  // The registry takes its time; and a stream whose lines all came at once Bun would send with a length, not chunked.
  await systemClock.sleep(1, signal);
  if (parts.faults.pull?.afterBytes === 0) await misbehave(signal, parts.faults);
  const manifest = await findManifest(name, insecure, signal, parts);
  const fetched: Layer[] = [];
  for (const layer of manifest.layers) {
    const present = parts.store.blobBytes(layer.digest);
    if (present === undefined) {
      fetched.push(layer);
      yield* fetchLayer(layer, join(name, layer, parts), signal, parts);
      signal.throwIfAborted();
    } else {
      yield progress(layer, present);
    }
  }
  yield { status: "verifying sha256 digest" };
  for (const layer of fetched) await verify(layer, parts);
  if (parts.faults.pull?.afterBytes === Infinity) {
    for (const { digest } of fetched) parts.store.dropBlob(digest);
    await misbehave(signal, parts.faults);
  }
  yield { status: "writing manifest" };
  if (parts.store.install(name, manifest, fetched).length > 0) yield { status: "removing unused layers" };
  yield { status: "success" };
}

function isFromRegistry(name: Name, { catalog, modelsDir }: PullParts): boolean {
  return modelsDir !== undefined && isReal(name) && catalog.find(name) === undefined;
}

function join(name: Name, layer: Layer, parts: PullParts): Download {
  const { modelsDir, downloads, timing } = parts;
  if (modelsDir === undefined || !isFromRegistry(name, parts)) return downloads.join(layer);
  const onBytes = (count: number): void => {
    downloads.fetchedBytes += count;
  };
  const options = { path: modelsDir.blobPath(layer.digest), url: blobUrl(name, layer), timing, onBytes };
  return downloads.joinReal(layer, () => new Transfer(options));
}

/** Models of the catalog have no content that could be wrong. */
async function verify({ digest, size }: Layer, { modelsDir, store }: PullParts): Promise<void> {
  if (modelsDir === undefined || store.isMadeUp(digest)) return;
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(modelsDir.blobPath(digest)).stream()) hasher.update(chunk);
  const found = `sha256:${hasher.digest("hex")}`;
  if (found === digest) return store.keepBlob(digest, size);
  store.dropBlob(digest);
  throw new PullError(`digest mismatch, file must be downloaded again: want ${digest}, got ${found}`);
}

async function* fetchLayer(layer: Layer, download: Download, signal: AbortSignal, parts: PullParts) {
  try {
    while ((await endOrTick(download, signal, parts.progressIntervalMs)) === "tick") {
      signal.throwIfAborted();
      yield progress(layer, download.completedBytes);
      if (download.completedBytes >= (parts.faults.pull?.afterBytes ?? Infinity)) await misbehave(signal, parts.faults);
    }
  } finally {
    download.leave();
  }
}

async function endOrTick(download: Download, signal: AbortSignal, intervalMs: number): Promise<"end" | "tick"> {
  return await Promise.race([
    download.ended.then(() => "end" as const),
    systemClock.sleep(intervalMs, signal).then(() => "tick" as const),
  ]);
}

async function misbehave(signal: AbortSignal, faults: Faults): Promise<void> {
  const kind = faults.pull?.kind;
  if (kind === "cut") throw new PullCut("");
  if (kind === "garble") throw new PullCut('{"status":"pulling 4bed6ca4');
  if (typeof kind === "object") throw new PullError(kind.error);
  while (faults.pull?.kind === "silence" && !signal.aborted) await systemClock.sleep(5, signal);
}

/** Ollama leaves out what is 0. */
function progress({ digest, size }: Layer, completed: number): Record<string, unknown> {
  return {
    status: `pulling ${digest.slice("sha256:".length).slice(0, 12)}`,
    digest,
    ...(size > 0 ? { total: size } : {}),
    ...(completed > 0 ? { completed } : {}),
  };
}

async function findManifest(name: Name, insecure: boolean, signal: AbortSignal, parts: PullParts): Promise<Manifest> {
  const url = `${insecure ? "http" : "https"}://${name.host}/v2/${name.namespace}/${name.model}/manifests/${name.tag}`;
  if (isFromRegistry(name, parts) && insecure) return await fetchManifest(name, signal);
  if (!parts.catalog.hasHost(name.host)) {
    throw new PullError(`pull model manifest: Get "${url}": dial tcp ${name.host}: connect: connection refused`);
  }
  if (!insecure && parts.plainHttpRegistries.includes(name.host)) {
    throw new PullError(`pull model manifest: Get "${url}": http: server gave HTTP response to HTTPS client`);
  }
  const manifest = parts.catalog.find(name);
  if (manifest === undefined) throw new PullError("pull model manifest: file does not exist");
  return manifest;
}
