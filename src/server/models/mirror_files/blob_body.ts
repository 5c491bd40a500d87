// A part of a blob as the body of a response: read as the client takes it, and closed when it is sent or the client is gone.
import { CourierError } from "../../../base/errors.ts";
import type { OpenFile } from "../../../transport/mirror/reading/guard.ts";

export interface BlobBodyOptions {
  readonly from: number;
  /** Not sent any more. */
  readonly to: number;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Called once, when the file is closed. */
  readonly onClosed: () => void;
  readonly onFailed: (error: unknown) => void;
}

const CHUNK_BYTES = 1 << 20;

export function blobBody(file: OpenFile, options: BlobBodyOptions): ReadableStream<Uint8Array> {
  const reading = new Reading(file, options);
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => await reading.next(controller),
      cancel: async () => await reading.close(),
    },
    { highWaterMark: 0 },
  );
}

class Reading {
  readonly #file: OpenFile;
  readonly #options: BlobBodyOptions;
  #at: number;
  #isClosed = false;
  #chunk: Promise<unknown> = Promise.resolve();

  constructor(file: OpenFile, options: BlobBodyOptions) {
    this.#file = file;
    this.#options = options;
    this.#at = options.from;
    // A stream whose client has left before it was read is never cancelled.
    options.signal.addEventListener("abort", () => void this.close(), { once: true });
    if (options.signal.aborted) void this.close();
  }

  async next(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const { to, onFailed } = this.#options;
    try {
      if (this.#isClosed) throw new CourierError("cancelled", "The request was ended");
      const chunk = await this.#read();
      if (this.#isClosed) throw new CourierError("cancelled", "The request was ended");
      // The length was announced: the connection breaks off, and the client asks again.
      if (chunk.length === 0 && this.#at < to) throw new CourierError("unavailable", "The file ends too early");
      if (chunk.length > 0) controller.enqueue(chunk);
      if (this.#at < to) return;
      controller.close();
    } catch (error) {
      if (!this.#isClosed) onFailed(error);
      controller.error(error);
    }
    await this.close();
  }

  /** After the read that is under way. Never rejects. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { onClosed, onFailed } = this.#options;
    try {
      await Promise.allSettled([this.#chunk]);
      await this.#file.close();
    } catch (error) {
      onFailed(error);
    } finally {
      onClosed();
    }
  }

  async #read(): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, this.#options.to - this.#at));
    const reading = this.#file.read(buffer, 0, buffer.length, this.#at);
    this.#chunk = reading;
    const { bytesRead } = await reading;
    this.#at += bytesRead;
    return buffer.subarray(0, bytesRead);
  }
}
