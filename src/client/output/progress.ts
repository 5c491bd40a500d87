// The progress of a pull as JSON lines, or as plain lines for a pipe.
import type { Clock } from "../../base/clock.ts";
import { rangesText } from "../../base/order.ts";
import type { Job } from "../../protocol.ts";
import { describeProgress, jobPercent, noteText } from "./job_text.ts";
import type { Printer } from "./printer.ts";

/** Gets every change of every job and decides which of them to show. */
export interface Progress {
  show(job: Job): void;
  /** The job's state cannot be read at the moment, for this reason. */
  lost(job: Job, reason: string): void;
  close(): void;
}

/** A line is due when so much more is there, */
const STEP_PERCENT = 10;
/** or, on a slow line, after this long, provided that anything moved. */
const STEP_MS = 5_000;

/** Every change is one job document. */
export class JsonProgress implements Progress {
  readonly #printer: Printer;

  constructor(printer: Printer) {
    this.#printer = printer;
  }

  show(job: Job): void {
    this.#printer.documentLine(job);
  }

  lost(): void {}

  close(): void {}
}

interface Shown {
  readonly state: Job["state"];
  readonly percent: number;
  readonly text: string;
  readonly atMs: number;
  /** Without its digits: a countdown alone is no reason for a line. */
  readonly note: string;
  readonly isLost: boolean;
}

/** Lines of several agents that come within this time are one, where they say the same. */
const TOGETHER_MS = 250;
/** Fewer agents have a line each. */
const MANY = 4;

/** Prints the same of many agents in one line: `gpu-[1-15]: queued`. */
class SharedLines {
  readonly #printer: Printer;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  /** By agent, in the order in which they came. */
  #waiting = new Map<string, string>();

  constructor(printer: Printer, clock: Clock) {
    this.#printer = printer;
    this.#clock = clock;
  }

  add(agent: string, text: string): void {
    // The lines of an agent stay in their order.
    if (this.#waiting.has(agent)) this.print();
    if (this.#waiting.size === 0) void this.#printLater();
    this.#waiting.set(agent, text);
  }

  print(): void {
    const groups = Map.groupBy([...this.#waiting], ([, text]) => text);
    this.#waiting = new Map();
    for (const [text, entries] of groups) {
      const agents = entries.map(([agent]) => agent);
      const names = agents.length < MANY ? agents : [rangesText(agents)];
      for (const name of names) this.#printer.line(`${name}: ${text}`);
    }
  }

  close(): void {
    this.#closing.abort();
    this.print();
  }

  async #printLater(): Promise<void> {
    await this.#clock.sleep(TOGETHER_MS, this.#closing.signal);
    this.print();
  }
}

/** One line per job and change that matters. */
export class LineProgress implements Progress {
  readonly #printer: Printer;
  readonly #clock: Clock;
  readonly #nowMs: (agent: string) => number;
  readonly #model: (job: Job) => string;
  /** Null: each line is printed at once. */
  readonly #lines: SharedLines | null;
  readonly #shown = new Map<string, Shown>();

  /**
   * @param nowMs the time by the clock of an agent's box
   * @param naming a pull is of one model; jobs are of several
   * @param count how many pulls are followed
   */
  constructor(
    printer: Printer,
    clock: Clock,
    nowMs: (agent: string) => number,
    { naming, count = 0 }: { readonly naming: "agents alone" | "with models"; readonly count?: number },
  ) {
    this.#printer = printer;
    this.#clock = clock;
    this.#nowMs = nowMs;
    this.#model = ({ model }) => (naming === "with models" ? `${model} ` : "");
    this.#lines = count < MANY ? null : new SharedLines(printer, clock);
  }

  show(job: Job): void {
    const nowMs = this.#nowMs(job.agent);
    const text = `${this.#model(job)}${stateText(job, nowMs)}`;
    const note = noteText(job, nowMs).replaceAll(/\d+/g, "0");
    const percent = jobPercent(job) ?? 0;
    const atMs = this.#clock.monotonic();
    const last = this.#shown.get(keyOf(job));
    if (last?.state === job.state && last.note === note && !last.isLost) {
      const isFurther = percent >= last.percent + STEP_PERCENT;
      const isLater = atMs >= last.atMs + STEP_MS && text !== last.text;
      if (!isFurther && !isLater) return;
    }
    this.#shown.set(keyOf(job), { state: job.state, percent, text, atMs, note, isLost: false });
    this.#print(job, text);
  }

  lost(job: Job, reason: string): void {
    const last = this.#shown.get(keyOf(job));
    // The reason differs each time: it says for how long.
    if (last === undefined || last.isLost) return;
    this.#shown.set(keyOf(job), { ...last, isLost: true });
    this.#print(job, `${this.#model(job)}not reporting, ${withoutName(reason, job.agent)}`);
  }

  close(): void {
    this.#lines?.close();
  }

  #print({ agent }: Job, text: string): void {
    if (this.#lines === null) this.#printer.line(`${agent}: ${text}`);
    else this.#lines.add(agent, text);
  }
}

/** The line begins with the agent already: `gpu-2 has been silent for 32 s` */
function withoutName(reason: string, agent: string): string {
  const rest = reason.startsWith(`${agent} `) ? reason.slice(agent.length + 1) : reason;
  return rest.replace(/^has been |^is /, "");
}

function keyOf({ id, agent }: Job): string {
  return id ?? agent;
}

function stateText(job: Job, nowMs: number): string {
  const progress = describeProgress(job, nowMs);
  return `${job.state}${progress === "" ? "" : `, ${progress}`}`;
}
