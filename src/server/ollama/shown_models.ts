// Details of models as boxes sent them, kept by digest: a digest names the same model forever, and clients ask again and again.
import type { Model } from "../../protocol.ts";

const MOST_CHARACTERS = 16 * 1024 * 1024;

export class ShownModels {
  /** The one that was used last comes last. */
  readonly #kept = new Map<string, string>();
  #characters = 0;

  get(model: Model): string | undefined {
    const key = keyOf(model);
    const text = this.#kept.get(key);
    if (text === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, text);
    return text;
  }

  /** @returns the text */
  keep(model: Model, text: string): string {
    const key = keyOf(model);
    this.#drop(key);
    this.#kept.set(key, text);
    this.#characters += text.length;
    for (const old of this.#kept.keys()) {
      if (this.#characters <= MOST_CHARACTERS) break;
      this.#drop(old);
    }
    return text;
  }

  #drop(key: string): void {
    this.#characters -= this.#kept.get(key)?.length ?? 0;
    this.#kept.delete(key);
  }
}

/** The answer also has the model's name, and when the box got it. */
function keyOf({ digest, name, modified_at }: Model): string {
  return `${digest} ${name} ${modified_at}`;
}
