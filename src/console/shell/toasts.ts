// Short messages on what an action did, and failures in words with what to do about them.
import { asCourierError } from "../../base/errors.ts";
import { Observable } from "../store/observable.ts";

export interface Toast {
  readonly id: number;
  readonly kind: "done" | "failed";
  readonly text: string;
  readonly hint: string | undefined;
}

const SHOWN_MS = 6_000;
const MOST = 4;

export class Toasts extends Observable {
  #shown: readonly Toast[] = [];
  #count = 0;

  get shown(): readonly Toast[] {
    return this.#shown;
  }

  done(text: string): void {
    const id = this.#add({ kind: "done", text, hint: undefined });
    setTimeout(() => this.dismiss(id), SHOWN_MS);
  }

  /** Stays until somebody closes it. */
  failed(error: unknown): void {
    const failure = asCourierError(error);
    if (failure.code === "cancelled" || failure.code === "unauthenticated") return;
    const { message, hint } = failure.spoken;
    this.#add({ kind: "failed", text: message, hint });
  }

  dismiss(id: number): void {
    this.#shown = this.#shown.filter((toast) => toast.id !== id);
    this.notify();
  }

  #add(toast: Omit<Toast, "id">): number {
    this.#count += 1;
    // The same failure twice is one message.
    const others = this.#shown.filter(({ text }) => text !== toast.text);
    this.#shown = [...others, { ...toast, id: this.#count }].slice(-MOST);
    this.notify();
    return this.#count;
  }
}
