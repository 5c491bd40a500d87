// Changing commands to real agents, each about a model of its own, and what became of them: Ollama itself shows what was done how often.

import { systemClock } from "#src/base/clock.ts";
import type { OllamaFront } from "#tests/long/chaos/ollama_front.ts";

export interface Task {
  readonly agent: string;
  readonly verb: "pull_model" | "delete_model";
  readonly model: string;
}

/** `not sent`: it never runs. `unknown`: it may have run, or may still begin until its time is over. */
export type Outcome = "done" | "not sent" | "unknown";

/** Sends one command and waits for its response. @throws for an answer that no fault explains */
export type Ask = (task: Task, timeoutMs: number) => Promise<Outcome>;

interface Tally {
  readonly sent: number;
  readonly notSent: number;
  readonly unknown: number;
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
}

/** After this and its TTL no command begins any more. */
const SETTLED_MS = 1_500;
/** Pulls wait for each other. */
const PULL_SETTLED_MS = 6_000;
const PAUSE_MS = 250;
const ENDING_MS = 30_000;

interface LoadOptions {
  readonly fronts: ReadonlyMap<string, OllamaFront>;
  readonly asks: readonly Ask[];
  readonly lanes: number;
  readonly timeoutMs: number;
  /** The commands begin spread over this time. */
  readonly spreadMs: number;
}

export class Load {
  readonly #options: LoadOptions;
  readonly #counts = { sent: 0, notSent: 0, unknown: 0 };

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** How many were refused so far, each time counted. */
  get notSent(): number {
    return this.#counts.notSent;
  }

  /** Each command is sent until it is done. As a careful user does: what may have been done is looked up before it is sent again. */
  async run(tasks: readonly Task[]): Promise<Tally> {
    const { asks, lanes, spreadMs } = this.#options;
    const beganAtMs = performance.now();
    const waiting = [...tasks.entries()];
    const lane = async (ask: Ask): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [number, task] = next;
        await systemClock.sleep(beganAtMs + (number * spreadMs) / tasks.length - performance.now());
        await this.#untilDone(task, ask);
      }
    };
    await Promise.all(asks.flatMap((ask) => Array.from({ length: lanes }, async () => await lane(ask))));
    await this.#ended(tasks);
    const times = tasks.map((task) => [task.model, this.#timesDone(task)] as const);
    return {
      ...this.#counts,
      lost: times.filter(([, count]) => count === 0).map(([model]) => model),
      doubled: times.filter(([, count]) => count > 1).map(([model]) => model),
    };
  }

  async #untilDone(task: Task, ask: Ask): Promise<void> {
    const { timeoutMs } = this.#options;
    for (;;) {
      const beganAtMs = performance.now();
      this.#counts.sent += 1;
      const outcome = await ask(task, timeoutMs);
      if (outcome === "done") return;
      if (outcome === "not sent") {
        this.#counts.notSent += 1;
        await Bun.sleep(PAUSE_MS);
        continue;
      }
      this.#counts.unknown += 1;
      const settledMs = task.verb === "pull_model" ? PULL_SETTLED_MS : SETTLED_MS;
      await Bun.sleep(Math.max(0, beganAtMs + timeoutMs + settledMs - performance.now()));
      if (this.#timesDone(task) > 0) return;
    }
  }

  /** Pulls that were begun go on. */
  async #ended(tasks: readonly Task[]): Promise<void> {
    const endMs = performance.now() + ENDING_MS;
    while (performance.now() < endMs && tasks.some((task) => this.#timesDone(task) === 0)) await Bun.sleep(100);
    await Bun.sleep(SETTLED_MS);
  }

  /** How often Ollama was asked for it, whatever it answered. */
  #timesDone({ agent, verb, model }: Task): number {
    const route = verb === "pull_model" ? "POST /api/pull" : "DELETE /api/delete";
    const forwarded = this.#options.fronts.get(agent)?.forwarded ?? [];
    return forwarded.filter((each) => each.route === route && each.model === model).length;
  }
}

export function describeTally(count: number, { sent, notSent, unknown, lost, doubled }: Tally): string {
  const again = `${sent} sent, ${notSent} of them not sent and ${unknown} with an unknown end`;
  return `${count} changing commands (${again}): ${lost.length} lost, ${doubled.length} doubled`;
}
