// One blob on its way from a real registry, fetched as Ollama does it: in parts that are kept on disk and retried.
import {
  closeSync,
  constants,
  ftruncateSync,
  globSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { z } from "zod";
import { systemClock } from "#src/base/clock.ts";
import { systemCode } from "#src/base/errors.ts";
import { PullError } from "./pull_error.ts";

/** Pauses and timeouts in ms; the defaults are the real one's. */
export interface TransferTiming {
  /** The first pause before a part is tried again; then twice as long. */
  readonly retryMs: number;
  /** A part that gets no byte for this long connects again. */
  readonly stallMs: number;
  /** How long the registry is asked where the data is. */
  readonly locateMs: number;
}

export const REAL_TIMING: TransferTiming = { retryMs: 1000, stallMs: 30_000, locateMs: 30_000 };

const MAX_TRIES = 6;
const PART_BYTES = 100_000_000;

const Part = z.object({ N: z.number(), Offset: z.number(), Size: z.number(), Completed: z.number() });
type Part = z.infer<typeof Part>;

export interface TransferOptions {
  /** Where the whole blob will lie. */
  readonly path: string;
  readonly url: string;
  readonly timing: TransferTiming;
  readonly onBytes: (count: number) => void;
}

export class Transfer {
  /** Over all parts, also what is not noted yet: it goes back when a part has to be fetched again. */
  completedBytes = 0;
  /** Resolves when the blob is whole; rejects with `PullError`. */
  readonly ended: Promise<void>;
  readonly #options: TransferOptions;
  readonly #stopped = new AbortController();

  constructor(options: TransferOptions) {
    this.#options = options;
    this.ended = this.#run();
    this.ended.catch(() => undefined);
  }

  /** Nobody wants it any more: its bytes are kept. A part that waits for its next attempt goes on waiting. */
  stop(): void {
    this.#stopped.abort();
  }

  async #run(): Promise<void> {
    const { path } = this.#options;
    const { parts, totalBytes } = await this.#prepare();
    this.completedBytes = parts.reduce((sum, { Completed }) => sum + Completed, 0);
    const file = openSync(`${path}-partial`, constants.O_CREAT | constants.O_RDWR, 0o644);
    try {
      ftruncateSync(file, totalBytes);
      const url = await this.#locate();
      await Promise.all(parts.map(async (part) => await this.#fetchPart(part, url, file)));
    } finally {
      closeSync(file);
    }
    for (const { N } of parts) rmSync(`${path}-partial-${N}`);
    renameSync(`${path}-partial`, path);
  }

  /** What an earlier download left, or new parts. */
  async #prepare(): Promise<{ parts: Part[]; totalBytes: number }> {
    const { path, url } = this.#options;
    const kept = globSync(`${path}-partial-*`).map((file) => Part.parse(JSON.parse(readFileSync(file, "utf8"))));
    if (kept.length > 0) return { parts: kept, totalBytes: kept.reduce((sum, { Size }) => sum + Size, 0) };
    const response = await fetch(url, { method: "HEAD" });
    if (response.status === 404) throw new PullError("file does not exist");
    if (!response.ok) throw new PullError(`${response.status}: `);
    const totalBytes = Number(response.headers.get("content-length") ?? 0);
    const parts: Part[] = [];
    for (let at = 0; at < totalBytes; at += PART_BYTES) {
      parts.push({ N: parts.length, Offset: at, Size: Math.min(PART_BYTES, totalBytes - at), Completed: 0 });
    }
    for (const part of parts) this.#keep(part);
    return { parts, totalBytes };
  }

  /** Asks until the registry says where the data is, for a limited time. */
  async #locate(): Promise<string> {
    const { url, timing } = this.#options;
    const endsAtMs = performance.now() + timing.locateMs;
    for (let n = 1; ; n++) {
      if (this.#stopped.signal.aborted) throw new PullError("context canceled");
      if (performance.now() > endsAtMs) throw new PullError("context deadline exceeded");
      const hangUp = new AbortController();
      try {
        const response = await fetch(url, { signal: hangUp.signal });
        if (response.ok) return new URL(response.headers.get("location") ?? "", url).href;
      } catch {
        // It is asked again, whatever it was.
      } finally {
        hangUp.abort();
      }
      await systemClock.sleep(Math.min(n * n * 10, 10_000), this.#stopped.signal);
    }
  }

  async #fetchPart(part: Part, url: string, file: number): Promise<void> {
    let failure = "";
    for (let attempt = 0; attempt < MAX_TRIES; ) {
      if (part.Completed === part.Size) return;
      const end = await this.#fetchOnce(part, url, file);
      if (end === "done") return;
      if (this.#stopped.signal.aborted) throw new PullError("context canceled");
      if (end === "stalled") continue;
      failure = end;
      // As in the real one, this pause does not end when nobody wants the blob any more.
      await Bun.sleep(this.#options.timing.retryMs * 2 ** attempt);
      attempt += 1;
    }
    throw new PullError(`max retries exceeded: ${failure}`);
  }

  /** One request for the rest of a part. @returns how it ended; it is noted how far it came */
  async #fetchOnce(part: Part, url: string, file: number): Promise<"done" | "stalled" | "EOF" | "unexpected EOF"> {
    const missing = part.Size - part.Completed;
    const stalled = new AbortController();
    const signal = AbortSignal.any([this.#stopped.signal, stalled.signal]);
    const range = `bytes=${part.Offset + part.Completed}-${part.Offset + part.Size - 1}`;
    let received = 0;
    let declared = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const wait = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => stalled.abort(), this.#options.timing.stallMs);
    };
    try {
      wait();
      const response = await fetch(url, { headers: { range }, signal });
      declared = Number(response.headers.get("content-length") ?? 0);
      for await (const chunk of response.body ?? []) {
        wait();
        const bytes = chunk.subarray(0, missing - received);
        this.#write(file, bytes, part.Offset + part.Completed + received);
        received += bytes.length;
      }
    } catch (error) {
      if (error instanceof PullError) throw error;
    } finally {
      clearTimeout(timer);
    }
    if (received < missing && received === declared && !signal.aborted) {
      // The body was complete and too short: an error page.
      this.completedBytes -= received;
      return "EOF";
    }
    part.Completed += received;
    this.#keep(part);
    if (received === missing) return "done";
    return stalled.signal.aborted ? "stalled" : "unexpected EOF";
  }

  #write(file: number, bytes: Uint8Array, position: number): void {
    try {
      writeSync(file, bytes, 0, bytes.length, position);
    } catch (error) {
      if (systemCode(error) !== "ENOSPC") throw error;
      throw new PullError(`write ${this.#options.path}-partial: no space left on device`);
    }
    this.completedBytes += bytes.length;
    this.#options.onBytes(bytes.length);
  }

  #keep(part: Part): void {
    writeFileSync(`${this.#options.path}-partial-${part.N}`, `${JSON.stringify(part)}\n`);
  }
}
