// Ends a request to a registry from which nothing comes any more.
import { CourierError } from "../../base/errors.ts";

export class Silence {
  readonly #ended = new AbortController();
  readonly #caller: AbortSignal;
  readonly #ms: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(ms: number, caller: AbortSignal) {
    this.#ms = ms;
    this.#caller = caller;
  }

  get signal(): AbortSignal {
    return AbortSignal.any([this.#caller, this.#ended.signal]);
  }

  /** It counts from now. */
  begin(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#isOver = true;
      this.#ended.abort();
    }, this.#ms);
  }

  /** The consumer of the bytes may need longer for them. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#ended.abort();
  }

  failure(host: string, cause: unknown): CourierError {
    if (cause instanceof CourierError) return cause;
    if (this.#caller.aborted) return new CourierError("cancelled", "Cancelled");
    const why = this.#isOver ? `sends nothing for ${this.#ms / 1000} s` : "cannot be reached, or ended the connection";
    return new CourierError("unavailable", `${host} ${why}`, { cause, hint: "Can this machine reach the registry?" });
  }
}
