// All that is known after a chaos run, and questions about it.
import type { Job } from "#src/protocol.ts";
import { type Command, describe, responseOf } from "../history.ts";
import type { Inflicted } from "../nemesis.ts";
import type { Forwarded } from "../ollama_front.ts";
import type { Anomaly, Ran } from "../runs.ts";

/** One box in the end. */
export interface BoxFacts {
  readonly name: string;
  readonly killedAtMs: readonly number[];
  /** The requests that reached its Ollama. */
  readonly forwarded: readonly Forwarded[];
  /** The models of its Ollama in the end. */
  readonly installed: readonly string[];
  readonly jobs: readonly Job[];
}

export interface Facts {
  readonly commands: readonly Command[];
  readonly ran: readonly Ran[];
  readonly boxes: readonly BoxFacts[];
  readonly faults: readonly Inflicted[];
  /** Commands whose files remain, as `<inbox>/<id>`. */
  readonly left: readonly string[];
  readonly startedAtMs: number;
  readonly healedAtMs: number;
  /** Whether the share can be read-only. */
  readonly mayDeny: boolean;
  /** How much later than usual an agent may act: its machine is slow. */
  readonly slackMs: number;
}

/** The time of a file on the share may be this much older than the clock: the kernel's ticks, and a busy machine. */
const TICK_MS = 20;
/** The two inboxes are watched apart, each by listings a second apart; after an outage each is retried after a second. */
const APART_MS = 3000;
/** An agent that saw half a file looks again after a second, and the kernel may show it the old size for a second. */
const HALVED_MS = 2500;

export class Inquiry {
  readonly facts: Facts;
  readonly anomalies: Anomaly[] = [];
  readonly #ran: ReadonlyMap<string, readonly Ran[]>;

  constructor(facts: Facts) {
    this.facts = facts;
    this.#ran = Map.groupBy(facts.ran, ({ id }) => id);
  }

  report(kind: string, text: string, ...commands: readonly Command[]): void {
    const about = commands.map((command) => `\n    ${describe(command, this.facts.startedAtMs)}${this.#runs(command)}`);
    this.anomalies.push({ kind, text: `${text}${about.join("")}` });
  }

  /** The runs and refusals that agents logged under the id of a command; a version 1 id may be another command's too. */
  ranOf({ id, sentFromMs }: Command): readonly Ran[] {
    return (this.#ran.get(id) ?? []).filter(({ endMs }) => endMs >= sentFromMs - TICK_MS);
  }

  runsOf(command: Command): readonly Ran[] {
    return this.ranOf(command).filter(({ didRun }) => didRun);
  }

  /** Whether `first` was certainly published before `second`, so that their order is fixed. */
  isBefore(first: Command, second: Command): boolean {
    const { slackMs } = this.facts;
    const marginMs = first.inbox === second.inbox ? TICK_MS : APART_MS + slackMs;
    const halvedMs = first.isHalved ? HALVED_MS + slackMs : 0;
    return first.publishedByMs + Math.max(marginMs, halvedMs) < second.sentFromMs;
  }

  /** How often this agent, or any if it is `shared`, was killed in that time. */
  kills(agent: string, fromMs: number, toMs: number): number {
    const boxes = this.facts.boxes.filter(({ name }) => agent === "shared" || name === agent);
    const times = boxes.flatMap(({ killedAtMs }) => killedAtMs);
    return times.filter((atMs) => atMs >= fromMs && atMs <= toMs).length;
  }

  /** Whether a fault of this kind was there at some moment of that time. */
  had(matches: (fault: Inflicted) => boolean, fromMs: number, toMs: number): boolean {
    return this.facts.faults.some((fault) => matches(fault) && fault.fromMs <= toMs && fault.toMs >= fromMs);
  }

  hasSucceeded(command: Command): boolean {
    return command.answers.some((answer) => responseOf(answer)?.success === true);
  }

  /** Whether nothing of it ever reached an agent, or it was refused with a code that promises that. */
  isCertainlyNotRun(command: Command): boolean {
    if (command.id === "") return true;
    const codes = command.answers.map((answer) => responseOf(answer)?.code);
    return codes.some((code) => code === "deadline_exceeded" || code === "invalid" || code === "exhausted");
  }

  #runs(command: Command): string {
    const at = (ms: number | null): string => (ms === null ? "?" : ((ms - this.facts.startedAtMs) / 1000).toFixed(2));
    const runs = this.ranOf(command).map(({ agent, beginMs, endMs, code, didRun }) => {
      return didRun
        ? `${agent} ran it ${at(beginMs)} to ${at(endMs)}: ${code}`
        : `${agent} refused it ${at(endMs)}: ${code}`;
    });
    return runs.length === 0 ? "" : `; ${runs.join("; ")}`;
  }
}

export function isChange({ verb }: Command): boolean {
  return ["pull_model", "delete_model", "copy_model", "unload_model", "cancel_job"].includes(verb);
}
