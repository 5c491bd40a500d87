// Where a pull takes its model from: the mirror on the share, or the registry.
import { type Clock, systemClock } from "../../../base/clock.ts";
import { asCourierError, CourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Manifest } from "../../../program/registry/manifest.ts";
import type { MirroredModel } from "../../../transport/mirror/mirror.ts";
import type { MirrorReader } from "../../../transport/mirror/reading/reader.ts";
import { mirroredBytes } from "./mirrored_bytes.ts";
import type { BytesFinder, ModelBytes } from "./model_bytes.ts";
import type { SignedCopies } from "./signed_copies.ts";

/**
 * - `auto`: the mirror's copy, if it is what the registry has now, or the registry cannot be reached
 * - `only`: nothing but the mirror's copy
 */
export const MIRROR_MODES = ["auto", "only", "off"] as const;
export type MirrorMode = (typeof MIRROR_MODES)[number];

/** How long a damaged copy is left alone: somebody may repair it. */
const AVOIDED_MS = 3_600_000;

/** Asks a registry for its manifest. */
export interface ManifestReader {
  /** @throws CourierError `unavailable` when it cannot be reached; `not_found`; `forbidden` */
  readManifest(model: string): Promise<Manifest>;
}

export interface SourcesDeps {
  readonly mode: Exclude<MirrorMode, "off">;
  readonly mirror: Pick<MirrorReader, "find" | "missing" | "openBlob">;
  readonly registry: ManifestReader;
  /** Null: this box does not require signatures. */
  readonly signed: Pick<SignedCopies, "requireSigned"> | null;
  readonly clock?: Pick<Clock, "monotonic">;
  readonly log: Log;
}

/** A model to pull: what it will be, and the mirror's copy if that is used. */
interface Source {
  readonly manifest: Manifest;
  readonly copy: MirroredModel | null;
}

export class Sources implements ManifestReader, BytesFinder {
  readonly #deps: SourcesDeps;
  /** Until when copies with these digests are left alone, because they are damaged. */
  readonly #avoided = new Map<string, number>();

  constructor(deps: SourcesDeps) {
    this.#deps = deps;
  }

  /** The manifest of what a pull would bring now. @throws CourierError as `copyOf`, or the registry's failure */
  async readManifest(model: string): Promise<Manifest> {
    return (await this.#find(model)).manifest;
  }

  /**
   * The mirror's copy that a pull takes now; null: the pull goes to the registry, also to find out why that does not answer.
   * @throws CourierError where only the mirror may be used: `not_found` when it has no such model, `conflict` when it is
   * damaged there, `forbidden` when it lacks a signature that this box requires, `unavailable` when the share cannot be read
   */
  async copyOf(model: string): Promise<MirroredModel | null> {
    if (this.#deps.mode === "only") return await this.#onlyCopy(model);
    try {
      return (await this.#find(model)).copy;
    } catch (error) {
      if (error instanceof CourierError) return null;
      throw error;
    }
  }

  /** The bytes of the mirror's copy. @throws CourierError as `copyOf` */
  async bytesOf(model: string): Promise<ModelBytes | null> {
    const copy = await this.copyOf(model);
    return copy && mirroredBytes(this.#deps.mirror, copy, async () => await this.#avoid(model, copy));
  }

  /** A damaged copy would only be found out at the end of each pull. @returns whether the registry has the model now */
  async #avoid(model: string, { manifest: { digest } }: MirroredModel): Promise<boolean> {
    const { mode, registry, clock = systemClock, log } = this.#deps;
    if (mode === "only") return false;
    try {
      await registry.readManifest(model);
    } catch (error) {
      const { message: reason } = asCourierError(error);
      log.warn({ model, reason }, "The mirror's copy is damaged, and the registry cannot be asked instead");
      return false;
    }
    log.warn({ model }, "The mirror's copy is damaged: pulling from the registry");
    const nowMs = clock.monotonic();
    for (const [other, untilMs] of this.#avoided) if (untilMs <= nowMs) this.#avoided.delete(other);
    this.#avoided.set(digest, nowMs + AVOIDED_MS);
    return true;
  }

  async #find(model: string): Promise<Source> {
    const { mode, registry } = this.#deps;
    if (mode === "only") {
      const copy = await this.#onlyCopy(model);
      return { manifest: copy.manifest, copy };
    }
    const copy = await this.#usableCopy(model);
    try {
      const manifest = await registry.readManifest(model);
      return { manifest, copy: copy?.manifest.digest === manifest.digest ? copy : null };
    } catch (error) {
      // A registry that refuses has the last word.
      if (copy === null || asCourierError(error).code !== "unavailable") throw error;
      return { manifest: copy.manifest, copy };
    }
  }

  #isAvoided({ manifest: { digest } }: MirroredModel): boolean {
    const { clock = systemClock } = this.#deps;
    return (this.#avoided.get(digest) ?? -Infinity) > clock.monotonic();
  }

  async #onlyCopy(model: string): Promise<MirroredModel> {
    const copy = await this.#deps.mirror.find(model);
    if (copy === null) {
      throw new CourierError("not_found", `The mirror has no ${model}, and this box pulls from the mirror only`, {
        hint: "Add it where the share is mounted: gpuctl mirror add, or import",
      });
    }
    await this.#deps.signed?.requireSigned(copy);
    const missing = await this.#deps.mirror.missing(copy.manifest.layers, copy.name);
    if (missing.length === 0) return copy;
    throw new CourierError(
      "conflict",
      `The mirror's copy of ${model} is incomplete: ${missing.length} blobs are missing`,
      {
        hint: "Add it again where the share is mounted: gpuctl mirror add, or import",
      },
    );
  }

  /** Null also when the copy is no use: the registry may have the model. */
  async #usableCopy(model: string): Promise<MirroredModel | null> {
    const { mirror, signed, log } = this.#deps;
    try {
      const copy = await mirror.find(model);
      if (copy !== null && this.#isAvoided(copy)) return null;
      if (copy !== null) await signed?.requireSigned(copy);
      if (copy === null || (await mirror.missing(copy.manifest.layers, copy.name)).length === 0) return copy;
      log.warn({ model }, "The mirror's copy is incomplete, and is not used");
    } catch (error) {
      const { code, message } = asCourierError(error);
      // Most shares have no mirror.
      if (code !== "unavailable") log.warn({ model, reason: message }, "The mirror is not used");
    }
    return null;
  }
}
