// The load of a chaos run: senders of both versions that ask for everything, on a few models that they share and on models of their own.
import type { Verb } from "#src/protocol.ts";
import type { SeededRandom } from "#tests/support/random.ts";
import type { Box } from "./box.ts";
import { type Command, newCommand, responseOf, type Wish } from "./history.ts";
import type { LegacyBackend } from "./legacy.ts";
import type { Pace } from "./pace.ts";
import type { Sender } from "./wire.ts";

/** Models that several senders pull, delete and copy at the same time. */
export const SHARED_MODELS = ["s1:latest", "s2:latest"];
/** Installed from the start, and never changed. */
export const KEPT_MODEL = "kept:latest";
/** The longest ones are still waiting a minute after the last fault: by then each must have its answer. */
const TTLS_MS = [5000, 15_000, 40_000, 100_000, 100_000];
/** Of a version 1 pull or delete, as the agent has it by default. */
const V1_TTL_MS = 24 * 3_600_000;
const V1_LIST_TTL_MS = 60_000;

type Kind = Verb | "own_pull" | "own_delete";
/** Each as often as it is named. */
const KINDS: readonly Kind[] = [
  ...(["ping", "list_models", "show_model", "list_running", "list_jobs", "unload_model"] as const),
  ...(["pull_model", "pull_model", "pull_model", "delete_model", "delete_model", "copy_model", "cancel_job"] as const),
  ...(["own_pull", "own_pull", "own_delete", "own_delete"] as const),
];
const LEGACY_KINDS: readonly Kind[] = ["list_models", "pull_model", "delete_model", "own_pull", "own_delete"];

const PAIRS: readonly (readonly [Verb, Verb])[] = [
  ["delete_model", "pull_model"],
  ["pull_model", "delete_model"],
];

export function specOf(name: string) {
  return { name, layers: [60_000, 20_000] };
}

export class Load {
  readonly commands: Command[] = [];
  readonly #boxes: readonly Box[];
  readonly #random: SeededRandom;
  readonly #pace: Pace;
  #named = 0;

  constructor(boxes: readonly Box[], random: SeededRandom, pace: Pace) {
    this.#boxes = boxes;
    this.#pace = pace;
    this.#random = random;
  }

  /** Resolves when every sender has an answer or has given up. */
  async run(senders: readonly Sender[], legacy: LegacyBackend): Promise<void> {
    const { faultsMs, lanesOfSender, legacyLanes } = this.#pace;
    const endMs = Date.now() + faultsMs;
    const lanes = senders.flatMap((sender) => Array.from({ length: lanesOfSender }, () => sender));
    await Promise.all([
      ...lanes.map(async (sender) => await this.#lane(sender, endMs)),
      ...Array.from({ length: legacyLanes }, async () => await this.#legacyLane(legacy, endMs)),
    ]);
  }

  async #lane(sender: Sender, endMs: number): Promise<void> {
    for (;;) {
      await Bun.sleep(this.#random.below(this.#pace.pauseMs));
      if (Date.now() >= endMs) return;
      await (this.#random.below(8) === 0 ? this.#sendPair(sender) : this.#sendOne(sender));
    }
  }

  async #sendOne(sender: Sender): Promise<void> {
    const command = this.#add(this.#wish(this.#random.pick(KINDS), this.#random.pick(this.#boxes).name, 2));
    // Some give up early.
    const signal = this.#random.below(10) === 0 ? AbortSignal.timeout(100 + this.#random.below(3000)) : undefined;
    await sender.request(command, signal);
  }

  /** Two commands for one model, the second soon after the first, whose answer may take long: their order matters. */
  async #sendPair(sender: Sender): Promise<void> {
    const inbox = this.#random.pick(this.#boxes).name;
    const [first, second] = this.#random.pick(PAIRS);
    const wish = this.#wish(first, inbox, 2);
    const begun = sender.request(this.#add(wish));
    await Bun.sleep(50 + this.#random.below(1500));
    const { model } = wish;
    await sender.request(this.#add({ ...this.#wish(second, inbox, 2), model }));
    await begun;
  }

  async #legacyLane(legacy: LegacyBackend, endMs: number): Promise<void> {
    for (let last = ""; ; ) {
      await Bun.sleep(this.#random.below(2000));
      if (Date.now() >= endMs) return;
      const command = this.#add(this.#wish(this.#random.pick(LEGACY_KINDS), "shared", 1));
      const isChange = command.verb !== "list_models";
      // Their ids have a resolution of a second: the same one comes twice now and then.
      const isAgain = isChange && last.startsWith(command.verb) && this.#random.below(3) === 0;
      const id = isAgain ? last : `${command.verb}_${this.#named++}`;
      if (isChange) last = id;
      for (const earlier of this.commands.filter((other) => other.id === id)) {
        Object.assign(earlier, { isReplaced: true, sharesId: true });
        command.sharesId = true;
      }
      await legacy.send(command, id, this.#random.below(4) === 0 ? 30 : 0);
    }
  }

  #add(wish: Wish): Command {
    const command = newCommand(wish);
    this.commands.push(command);
    return command;
  }

  #wish(kind: Kind, inbox: string, version: 1 | 2): Wish {
    const isAlone = kind === "own_pull" || kind === "own_delete";
    const verb = kind === "own_pull" ? "pull_model" : kind === "own_delete" ? "delete_model" : kind;
    const v1Ttl = verb === "list_models" ? V1_LIST_TTL_MS : V1_TTL_MS;
    const ttlMs = version === 1 ? v1Ttl : this.#random.pick(TTLS_MS);
    const common = { version, inbox, verb, ttlMs, isAlone, model: null, destination: null, jobId: null };
    if (isAlone) return { ...common, model: this.#ownModel(verb, inbox) };
    if (verb === "cancel_job") return { ...common, jobId: this.#recentJob(inbox) };
    if (verb === "copy_model") return { ...common, model: KEPT_MODEL, destination: this.#random.pick(SHARED_MODELS) };
    if (verb === "show_model" || verb === "unload_model") return { ...common, model: KEPT_MODEL };
    const isAboutModel = verb === "pull_model" || verb === "delete_model";
    return isAboutModel ? { ...common, model: this.#random.pick(SHARED_MODELS) } : common;
  }

  /** A model that no other command is about: to be deleted it is there, to be pulled it can be. */
  #ownModel(verb: Verb, inbox: string): string {
    const model = `own${this.#named++}:latest`;
    for (const { name, ollama } of this.#boxes) {
      if (inbox !== "shared" && inbox !== name) continue;
      if (verb === "delete_model") ollama.install(specOf(model));
      else ollama.offer(specOf(model));
    }
    return model;
  }

  #recentJob(inbox: string): string {
    const jobs = this.commands.filter((command) => command.inbox === inbox).flatMap(jobIdsOf);
    const recent = jobs.slice(-3);
    return recent.length === 0 ? Bun.randomUUIDv7() : this.#random.pick(recent);
  }
}

/** The ids of the jobs that the answers to a command name. */
export function jobIdsOf({ answers }: Command): string[] {
  return answers.flatMap((answer) => responseOf(answer)?.job?.id ?? []);
}
