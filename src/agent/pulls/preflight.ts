// Before a pull's first byte: does the registry have the model, and does it fit the disk and the GPUs' memory?
import type { Clock } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { formatBytes } from "../../base/format.ts";
import type { DiskReserve } from "../../program/disk_reserve.ts";
import type { Layer, Manifest } from "../../program/registry/manifest.ts";
import { fitNote, fitOf } from "../../program/registry/model_fit.ts";
import { ForbiddenRedirect } from "../../program/registry/requests.ts";
import type { Disk, Job } from "../../protocol.ts";
import type { Box } from "../box.ts";
import type { Unknown } from "../disk/models_folder.ts";

/** The result of the check. */
export interface Foreseen {
  /** Of the whole model; null: unknown. */
  readonly totalBytes: number | null;
  /** For people, while the pull runs. */
  readonly note: string | null;
  /** Why the registry did not show the manifest; missing: it did, or was not asked. */
  readonly failure?: string;
}

interface ManifestReader {
  /** @throws CourierError as `Registry.readManifest()` */
  readManifest(model: string): Promise<Manifest>;
}

export interface PreflightDeps {
  readonly agent: string;
  /** Null: there is no preflight, and Ollama finds out. */
  readonly registry: ManifestReader | null;
  /** Its disk, its GPUs and its memory. */
  readonly box: Pick<Box, "models" | "gpus" | "memory">;
  readonly diskReserve: DiskReserve;
  readonly clock: Clock;
}

export interface PreflightRequest {
  /** Continue even if the disk is too small, with a note. */
  readonly force: boolean;
  /** Other jobs that will need disk space. */
  readonly others: readonly Job[];
  /** Ends the check; the size is then unknown. */
  readonly signal?: AbortSignal;
}

/** A pull that begins right after its request asks its registry only once, even if that does not answer. */
const MANIFEST_FRESH_MS = 10_000;
/** How many manifests are remembered: each may be megabytes. */
const MAX_REMEMBERED = 10;

interface Remembered {
  readonly manifest: Promise<Manifest>;
  readonly askedAtMs: number;
}

export class Preflight {
  readonly #deps: PreflightDeps;
  /** By model, the latest request last. */
  readonly #remembered = new Map<string, Remembered>();

  constructor(deps: PreflightDeps) {
    this.#deps = deps;
  }

  /**
   * Checks that a model exists and fits. A registry or a disk that cannot be checked holds nothing back: the
   * note names it, and Ollama finds out.
   * @param model in Ollama's form
   * @throws CourierError `not_found` when the registry has no such model; `exhausted`, with the figures, when the disk is too
   * small and `force` is not set; `ForbiddenRedirect`; nothing else
   */
  async check(model: string, { force, others, signal }: PreflightRequest): Promise<Foreseen> {
    const { registry } = this.#deps;
    if (registry === null) return { totalBytes: null, note: this.#othersFolder };
    try {
      const manifest = await Promise.race([this.#manifest(model, registry), aborted(signal)]);
      const notes = [await this.#room(model, manifest, { force, others }), this.#memory(manifest)];
      return { totalBytes: manifest.totalBytes, note: joined(notes) };
    } catch (error) {
      const { code, message } = asCourierError(error);
      if (code === "exhausted" || code === "not_found" || error instanceof ForbiddenRedirect) throw error;
      return { totalBytes: null, note: joined([`size unknown: ${message}`, this.#othersFolder]), failure: message };
    }
  }

  /** As last seen. Shown even for a pull of unknown size: nothing that this Ollama does is visible in that folder. */
  get #othersFolder(): string | null {
    const { unknown } = this.#deps.box.models;
    return unknown?.isAnothers === true ? notChecked(unknown) : null;
  }

  async #manifest(model: string, registry: ManifestReader): Promise<Manifest> {
    const { clock } = this.#deps;
    const key = model.toLowerCase();
    const known = this.#remembered.get(key);
    if (known !== undefined && clock.monotonic() - known.askedAtMs < MANIFEST_FRESH_MS) return await known.manifest;
    const manifest = registry.readManifest(model);
    this.#remembered.delete(key);
    this.#remembered.set(key, { manifest, askedAtMs: clock.monotonic() });
    for (const oldest of [...this.#remembered.keys()].slice(0, -MAX_REMEMBERED)) this.#remembered.delete(oldest);
    return await manifest;
  }

  /** @returns a note when the pull continues without enough space, or unchecked */
  async #room(model: string, manifest: Manifest, { force, others }: PreflightRequest): Promise<string | null> {
    const { box, agent, diskReserve } = this.#deps;
    const disk = await box.models.look();
    const missingBytes = await this.#missingBytes(manifest.layers);
    if (disk === null || missingBytes === null) {
      return notChecked(box.models.unknown);
    }
    const room = {
      disk,
      neededBytes: missingBytes,
      totalBytes: manifest.totalBytes,
      othersBytes: await this.#bytesOfOthers(manifest, others),
      reserveBytes: diskReserve(disk.total_bytes),
    };
    // Nothing to fetch: nothing to refuse.
    if (room.neededBytes === 0 || room.neededBytes + room.othersBytes + room.reserveBytes <= disk.free_bytes)
      return null;
    if (force) return `forced: ${figures(room)}`;
    throw new CourierError("exhausted", `Cannot pull ${JSON.stringify(model)} on ${agent}: ${figures(room)}`, {
      hint: "Remove a model, set OLLAMA_MODELS to a larger disk, or pull it anyway with --force",
    });
  }

  /** The bytes still to be fetched of these blobs; null when their folder cannot be read. */
  async #missingBytes(layers: readonly Layer[]): Promise<number | null> {
    const present = await this.#deps.box.models.present(layers);
    if (present === null) return null;
    return layers.reduce((sum, { digest, bytes }) => sum + bytes - (present.get(digest) ?? 0), 0);
  }

  /** What the other jobs still need: by their blobs, each counted once, where these are known. */
  async #bytesOfOthers(own: Manifest, others: readonly Job[]): Promise<number> {
    const counted = new Set(own.layers.map(({ digest }) => digest));
    let bytes = 0;
    for (const { model, total_bytes, completed_bytes } of others) {
      const manifest = await this.#remembered.get(model.toLowerCase())?.manifest.catch(() => undefined);
      const layers = manifest?.layers.filter(({ digest }) => !counted.has(digest));
      for (const { digest } of layers ?? []) counted.add(digest);
      const missing = layers === undefined ? null : await this.#missingBytes(layers);
      bytes += missing ?? Math.max(0, (total_bytes ?? 0) - completed_bytes);
    }
    return bytes;
  }

  #memory({ weightsBytes }: Manifest): string | null {
    const { box } = this.#deps;
    return fitNote(fitOf(weightsBytes ?? null, box), box);
  }
}

function notChecked(unknown: Unknown | null): string {
  return `disk space not checked: ${unknown?.message ?? "cannot read the models folder"} (--ollama-models)`;
}

interface Room {
  readonly disk: Disk;
  readonly neededBytes: number;
  readonly totalBytes: number;
  readonly othersBytes: number;
  readonly reserveBytes: number;
}

/** `9.1 GB needed, 2.0 GB for other pulls and 1.0 GB in reserve, 4.0 GB free in /data/models/blobs` */
function figures({ disk, neededBytes, totalBytes, othersBytes, reserveBytes }: Room): string {
  const presentBytes = totalBytes - neededBytes;
  const present = presentBytes === 0 ? "" : ` (${formatBytes(presentBytes)} of ${formatBytes(totalBytes)} is present)`;
  const wanted = [
    `${formatBytes(neededBytes)} needed${present}`,
    ...(othersBytes === 0 ? [] : [`${formatBytes(othersBytes)} for other pulls`]),
    ...(reserveBytes === 0 ? [] : [`${formatBytes(reserveBytes)} in reserve`]),
  ];
  const listed = wanted.join(", ").replace(/, (?=[^,]*$)/, " and ");
  return `${listed}, ${formatBytes(disk.free_bytes)} free in ${disk.path}`;
}

function joined(notes: readonly (string | null)[]): string | null {
  const said = notes.filter((note) => note !== null);
  return said.length === 0 ? null : said.join("; ");
}

async function aborted(signal: AbortSignal | undefined): Promise<never> {
  return await new Promise((_, reject) => {
    const end = (): void => reject(new CourierError("cancelled", "cancelled"));
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted) end();
  });
}
