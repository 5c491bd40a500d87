// Breaks things at random, one or two at a time, and heals each after some time.
import { join } from "node:path";
import type { SeededRandom } from "#tests/support/random.ts";
import type { Box } from "./box.ts";
import { removeEmpty, renameAway } from "./folders.ts";
import type { Ground } from "./grounds.ts";

/** A fault that was inflicted and healed. */
export interface Inflicted {
  readonly kind: string;
  readonly target: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** Whether a folder was made again while the real one was away. */
  readonly isReplaced: boolean;
}

interface Fault {
  readonly kind: string;
  /** What it breaks: no two faults of one target at a time. */
  readonly target: string;
  /** @returns whether a folder was made again while the real one was away; null: nothing was broken */
  readonly inflict: () => Promise<boolean | null>;
}

const AT_A_TIME = 2;

export class Nemesis {
  readonly inflicted: Inflicted[] = [];
  readonly #ground: Ground;
  readonly #boxes: readonly Box[];
  readonly #random: SeededRandom;
  readonly #busy = new Set<string>();

  constructor(ground: Ground, boxes: readonly Box[], random: SeededRandom) {
    this.#ground = ground;
    this.#boxes = boxes;
    this.#random = random;
  }

  /** Goes on for `ms`; resolves when everything is healed. */
  async run(ms: number): Promise<void> {
    const endMs = Date.now() + ms;
    await Promise.all(Array.from({ length: AT_A_TIME }, async () => await this.#lane(endMs)));
  }

  async #lane(endMs: number): Promise<void> {
    for (;;) {
      await Bun.sleep(this.#between(100, 1500));
      if (Date.now() >= endMs) return;
      const free = this.#faults().filter(({ target }) => !this.#busy.has(target));
      if (free.length > 0) await this.#inflict(this.#random.pick(free));
    }
  }

  async #inflict({ kind, target, inflict }: Fault): Promise<void> {
    const fromMs = Date.now();
    this.#busy.add(target);
    try {
      const outcome = await inflict();
      if (outcome !== null) {
        this.inflicted.push({ kind, target, fromMs, toMs: Date.now(), isReplaced: outcome });
      }
    } finally {
      this.#busy.delete(target);
    }
  }

  /** One of the share, of an agent and of an Ollama, so that each comes as often. */
  #faults(): Fault[] {
    const box = this.#random.pick(this.#boxes);
    return [this.#shareFaults(), this.#agentFaults(box), this.#ollamaFaults(box)].map((some) =>
      this.#random.pick(some),
    );
  }

  #shareFaults(): Fault[] {
    const { server, aside, damages } = this.#ground;
    const own = damages.map((damage): Fault => {
      const inflict = async () => await damage.inflict(this.#random).then(() => false);
      return { kind: damage.kind, target: "share", inflict };
    });
    const inboxes = this.#boxes.map(({ name }) => join("gpu_commands", name));
    const away = ["gpu_commands", "gpu_status", ...inboxes].map((folder): Fault => {
      const inflict = async () => await renameAway(join(server, folder), aside, this.#between(300, 2000));
      return { kind: "rename", target: "share", inflict };
    });
    const removed = inboxes.map((folder): Fault => {
      const inflict = async () => (removeEmpty(join(server, folder)) ? false : null);
      return { kind: "rmdir", target: "share", inflict };
    });
    return [own, own, away, removed].map((some) => this.#random.pick(some));
  }

  #agentFaults(box: Box): Fault[] {
    return [
      { kind: "kill", target: box.name, inflict: async () => await this.#kill(box) },
      { kind: "state-full", target: `${box.name}'s disk`, inflict: async () => await this.#fillState(box) },
      { kind: "stop", target: box.name, inflict: async () => await this.#stop(box) },
    ];
  }

  #ollamaFaults(box: Box): Fault[] {
    const ollama = `${box.name}'s Ollama`;
    return [
      { kind: "ollama-slow", target: ollama, inflict: async () => await this.#slow(box) },
      { kind: "ollama-500", target: ollama, inflict: async () => await this.#fail(box) },
      { kind: "ollama-away", target: ollama, inflict: async () => await this.#refuse(box) },
    ];
  }

  async #kill(box: Box): Promise<false> {
    await box.kill();
    await Bun.sleep(this.#between(0, 3000));
    box.start();
    await Bun.sleep(500);
    return false;
  }

  async #stop(box: Box): Promise<false> {
    box.signal("SIGSTOP");
    await Bun.sleep(this.#between(200, 4000));
    box.signal("SIGCONT");
    return false;
  }

  async #fillState(box: Box): Promise<false> {
    const empty = box.fillState();
    await Bun.sleep(this.#between(500, 4000));
    empty();
    return false;
  }

  async #slow({ front }: Box): Promise<false> {
    front.fault = { kind: "slow", ms: this.#between(500, 4000) };
    await Bun.sleep(this.#between(1000, 5000));
    front.fault = null;
    return false;
  }

  async #fail({ front }: Box): Promise<false> {
    front.fault = { kind: "fails" };
    await Bun.sleep(this.#between(200, 2000));
    front.fault = null;
    return false;
  }

  async #refuse({ front }: Box): Promise<false> {
    await front.refuse();
    await Bun.sleep(this.#between(200, 2500));
    front.accept();
    return false;
  }

  #between(fromMs: number, toMs: number): number {
    return fromMs + this.#random.below(toMs - fromMs);
  }
}
