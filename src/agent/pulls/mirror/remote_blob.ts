// A part of a blob on its way from a gpu-server: read in order, and left at any time.
import type { Clock } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import type { OpenFile } from "../../../transport/mirror/reading/guard.ts";

export interface RemoteBlobOptions {
  /** Ends the request. */
  readonly stop: AbortController;
  /** How long it may be silent. */
  readonly silentMs: number;
  readonly clock: Clock;
}

export class RemoteBlob implements OpenFile {
  /** Resolves once nothing is read any more. */
  readonly closed: Promise<void>;
  readonly #options: RemoteBlobOptions | null;
  readonly #chunks: AsyncIterator<Uint8Array> | null;
  readonly #close: () => void;
  #rest: Uint8Array = new Uint8Array();

  constructor(body: AsyncIterable<Uint8Array> | null, options: RemoteBlobOptions | null) {
    this.#chunks = body?.[Symbol.asyncIterator]() ?? null;
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#close = resolve;
  }

  /** That a blob is there is all that is known of it. */
  static empty(): RemoteBlob {
    return new RemoteBlob(null, null);
  }

  /** The next bytes: `position` is for files, which are read in any order. */
  async read(buffer: Buffer, offset: number, length: number): Promise<{ readonly bytesRead: number }> {
    if (this.#rest.length === 0) this.#rest = await this.#next();
    const part = this.#rest.subarray(0, length);
    buffer.set(part, offset);
    this.#rest = this.#rest.subarray(part.length);
    return { bytesRead: part.length };
  }

  async close(): Promise<void> {
    this.#options?.stop.abort();
    this.#close();
    return await Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Empty at the end. */
  async #next(): Promise<Uint8Array> {
    if (this.#chunks === null || this.#options === null) return new Uint8Array();
    const { clock, silentMs, stop } = this.#options;
    const isOver = new AbortController();
    let isSilent = false;
    const giveUp = async (): Promise<void> => {
      await clock.sleep(silentMs, isOver.signal);
      if (isOver.signal.aborted) return;
      isSilent = true;
      stop.abort();
    };
    void giveUp();
    try {
      const { value, done } = await this.#chunks.next();
      return done === true ? new Uint8Array() : value;
    } catch (cause) {
      const what = isSilent ? `sends nothing for ${silentMs / 1000} s` : "ended the connection";
      throw new CourierError("unavailable", `The mirror ${what}`, { cause });
    } finally {
      isOver.abort();
    }
  }
}
