// Runs beside the agents as one more of them: adds a model again and again, and prints how long each publication takes and how
// long gpu-server takes to list the model. `change.ts URL TOKEN SHARE INDEX COUNT`
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FleetBox } from "#sim/fleet/box.ts";
import { Client } from "../../../scripts/bench/fleet/client.ts";

/** Not in step with the server's looks, which begin a second or more apart. */
const APART_MS = 237;
const POLL_MS = 10;
const LIMIT_MS = 60_000;

class ChangingBox {
  readonly added = new Map<string, { readonly atMs: number; readonly tookMs: number }>();
  readonly #box: FleetBox;
  readonly #status: string;

  /** @param index one that no other box has */
  constructor(share: string, index: number) {
    this.#status = join(share, "gpu_status");
    this.#box = new FleetBox(index, Date.now());
  }

  /** Publishes one model more. */
  add(name: string): void {
    const startedMs = performance.now();
    const { agent } = this.#box;
    const state = this.#box.next(Date.now());
    const [model] = state.models ?? [];
    const added = [...this.added.keys(), name].map((each) => ({ ...model, name: each }));
    const temporary = join(this.#status, ".tmp", agent);
    writeFileSync(temporary, JSON.stringify({ ...state, models: added, model_count: added.length }));
    renameSync(temporary, join(this.#status, `${agent}_status.json`));
    const atMs = performance.now();
    this.added.set(name, { atMs, tookMs: atMs - startedMs });
  }

  /** Resolves after all are added. */
  async addAll(names: readonly string[]): Promise<void> {
    for (const name of names) {
      this.add(name);
      await Bun.sleep(APART_MS);
    }
  }

  /** @returns after how many ms the list has each of them, in order of appearance */
  async followAll(client: Client, names: readonly string[]): Promise<number[]> {
    const waiting = new Set(names);
    const times: number[] = [];
    for (const endMs = performance.now() + LIMIT_MS; waiting.size > 0; await Bun.sleep(POLL_MS)) {
      if (performance.now() > endMs) throw new Error(`Not listed: ${[...waiting].join(", ")}`);
      const text = new TextDecoder().decode((await client.fetch("/v1/models")).bytes);
      for (const name of waiting) {
        if (!text.includes(`"${name}"`)) continue;
        times.push(performance.now() - (this.added.get(name)?.atMs ?? Number.NaN));
        waiting.delete(name);
      }
    }
    return times;
  }
}

if (import.meta.main) {
  const [url = "", token = "", share = "", index = "", count = ""] = process.argv.slice(2);
  const box = new ChangingBox(share, Number(index));
  const names = Array.from({ length: Number(count) }, (_, number) => `change-${number}:latest`);
  const [listed] = await Promise.all([box.followAll(new Client(url, token), names), box.addAll(names)]);
  const published = [...box.added.values()].map(({ tookMs }) => tookMs);
  process.stdout.write(`${JSON.stringify({ listed, published })}\n`);
}
