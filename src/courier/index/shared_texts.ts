// Texts that many agents' documents have in common, each kept once: the names and digests of models, the names of GPUs.
import type { State } from "../../protocol.ts";

/** Documents come from the network: one agent must not fill the memory with texts that only it has. */
const MOST = 20_000;

export class SharedTexts {
  #texts = new Map<string, string>();

  /** Replaces the texts of a document that nobody else has yet by equal ones that were kept. */
  share({ models, running, gpus, disk }: State): void {
    for (const model of models ?? []) {
      model.name = this.#kept(model.name);
      model.digest = this.#kept(model.digest);
    }
    for (const model of running) model.name = this.#kept(model.name);
    for (const gpu of gpus) gpu.name = this.#kept(gpu.name);
    if (disk !== null) disk.path = this.#kept(disk.path);
  }

  #kept(text: string): string {
    const kept = this.#texts.get(text);
    if (kept !== undefined) return kept;
    if (this.#texts.size >= MOST) this.#texts = new Map();
    this.#texts.set(text, text);
    return text;
  }
}
