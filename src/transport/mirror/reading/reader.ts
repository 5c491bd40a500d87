// What a box needs of a mirror to pull from it: the mirror of a folder has it, and that of a gpu-server.
import type { ModelName } from "../../../base/model_name.ts";
import type { Layer } from "../../../program/registry/manifest.ts";
import type { MirroredModel } from "../mirror.ts";
import type { OpenFile } from "./guard.ts";

/** The part of a blob that is read, in order: from `from` up to and not including `to`. */
export interface WantedPart {
  /** A model that has the blob. */
  readonly name: ModelName;
  readonly from: number;
  readonly to: number;
  /** Aborts when nobody wants the rest. */
  readonly signal: AbortSignal;
}

/** As untrusted as everybody who can fill it: digests and signatures are for the caller to verify. */
export interface MirrorReader {
  /**
   * @param model in Ollama's form
   * @returns null when the mirror has no such model
   * @throws CourierError `unavailable` when it cannot be read; `conflict` when what it has there is no manifest
   */
  find(model: string): Promise<MirroredModel | null>;
  /** Those of these blobs of a model that are not there with their size. @throws CourierError `unavailable` */
  missing(layers: readonly Layer[], of: ModelName): Promise<readonly Layer[]>;
  /**
   * Opens a blob, which the caller closes.
   * @returns null when it is not there with its size
   * @throws CourierError `unavailable` when it cannot be read
   */
  openBlob(layer: Layer, part: WantedPart): Promise<OpenFile | null>;
  /** @returns null when there is no signature. @throws CourierError `unavailable` */
  readSignature(name: ModelName): Promise<string | null>;
}
