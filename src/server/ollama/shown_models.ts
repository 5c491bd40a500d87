// Details of models as their box sent them, kept by digest: a digest names the same model forever, and clients ask again and again.
import type { Model } from "../../protocol.ts";

const MOST_CHARACTERS = 16 * 1024 * 1024;

export class ShownModels {
  /** The one that was used last comes last. */
  readonly #kept = new Map<string, string>();
  #characters = 0;

  get(agent: string, model: Model): string | undefined {
    const key = keyOf(agent, model);
    const text = this.#kept.get(key);
    if (text === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, text);
    return text;
  }

  /** @returns the text */
  keep(agent: string, model: Model, text: string): string {
    const key = keyOf(agent, model);
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

/** The answer also has the model's name, and when the box got it. One box must not answer for another. */
function keyOf(agent: string, { digest, name, modified_at }: Model): string {
  return `${agent} ${digest} ${name} ${modified_at}`;
}
