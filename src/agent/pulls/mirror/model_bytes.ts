// The bytes of one model, wherever a pull takes them from: what the registry on loopback serves.
import type { Layer } from "../../../program/registry/manifest.ts";

export interface ModelBytes {
  /** The manifest, byte for byte: its digest is the model's. */
  readonly text: string;
  /** The blobs that may be read, each once. */
  readonly layers: readonly Layer[];
  readonly place: Place;
  /**
   * The bytes of a blob, from `from` up to and not including `to`, as the reader takes them; an empty range only looks
   * whether the blob is there, where that is cheap. May be read several times at once, and left before its end.
   * @param signal aborts when nobody wants the rest
   * @throws CourierError `not_found` when the blob is not there with its size; any other when it cannot be read now: both
   * from the first chunk on
   */
  read(layer: Layer, from: number, to: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void>;
}

/** Where the bytes are, in the messages of a pull that failed. */
export interface Place {
  /** `the mirror` */
  readonly name: string;
  /** What to do when they cannot be read. */
  readonly unreadableHint: string | undefined;
  /** How wrong bytes are reported, which stay wrong; null: the way there may have changed them, and another try may help. */
  readonly damaged: Damaged | null;
}

interface Damaged {
  readonly reason: string;
  readonly hint: string;
  /** Leaves these bytes alone for a while, if the next attempt can have the model from elsewhere: whether it can. Never rejects. */
  readonly avoid: () => Promise<boolean>;
}

/** Finds the bytes of a model; null: Ollama asks the registry itself. */
export interface BytesFinder {
  /** @throws CourierError when the pull must not, or cannot, go to the registry instead */
  bytesOf(model: string, signal?: AbortSignal): Promise<ModelBytes | null>;
}
