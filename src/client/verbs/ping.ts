// The verb ping: once, or repeatedly with a summary.

import type { ErrorCode } from "../../base/errors.ts";
import { type AgentView, isPresent } from "../../courier/agent_view.ts";
import { awayEntry, type Unavailable } from "../../courier/unavailable.ts";
import { unavailableField } from "../../documents/unavailable.ts";
import { flag, parse } from "../../program/flags.ts";
import { askEach, exitStatus, type Outcome, printOutcomes } from "../asking/outcomes.ts";
import { examples, type Program } from "../base_command.ts";
import { parseAgents } from "../output/agent_names.ts";
import type { Column } from "../output/table.ts";
import { noteUnavailable } from "../output/unavailable.ts";
import type { Run, Session } from "../session.ts";

interface PingOptions {
  /** How many rounds; undefined: one, or with an interval as many as there are until Ctrl-C. */
  readonly count: number | undefined;
  /** From the start of a round to the start of the next. */
  readonly intervalMs: number | undefined;
}

const DEFAULT_INTERVAL_MS = 1_000;

const SUMMARY_COLUMNS: readonly Column[] = [
  { title: "AGENT" },
  { title: "ANSWERED", align: "right" },
  { title: "MIN", align: "right" },
  { title: "MEDIAN", align: "right" },
  { title: "MAX", align: "right" },
];

export function addPingVerb(program: Program, run: Run): void {
  program
    .command("ping")
    .summary("Measure the round trip to each agent.")
    .description(
      "Measure the round trip to each agent; those that stopped are named. With --count or --interval, repeat " +
        "and end with a summary; Ctrl-C stops it.",
    )
    .argument("[agent...]", "as for --agent: a name, pattern or range; default: all", parseAgents)
    .addOption(flag("--count <n>", "number of pings, one a second without --interval").argParser(parse.count))
    .addOption(
      flag("--interval <seconds>", "time between pings; without --count until Ctrl-C").argParser(parse.seconds),
    )
    .addHelpText("after", examples("ping", "ping gpu-1 --timeout 5", "ping 'gpu-[1-3]' --count 10 --interval 0.5"))
    .action(async (named, { count, interval }) => {
      const intervalMs = interval === undefined ? undefined : interval * 1000;
      await run(async (session) => await pingAgents(session, { count, intervalMs }), named);
    });
}

async function pingAgents(session: Session, options: PingOptions): Promise<number> {
  const { courier, agents } = session;
  const chosen = await courier.choose(agents ?? "all");
  // An agent that stopped is asked only by its name, or with --all.
  const isAsked = (view: AgentView): boolean => agents !== undefined || isPresent(view);
  const asked = {
    views: chosen.filter(isAsked),
    left: chosen.filter((view) => !isAsked(view)).map((view) => awayEntry(view)),
  };
  return options.count === undefined && options.intervalMs === undefined
    ? await pingOnce(session, asked)
    : await pingRounds(session, asked, options);
}

interface Asked {
  readonly views: readonly AgentView[];
  /** Those that stopped. */
  readonly left: readonly Unavailable[];
}

async function pingOnce(session: Session, { views, left }: Asked): Promise<number> {
  const { printer, io } = session;
  const outcomes = await ping(session, views);
  if (printer.json) printer.document(roundDocument(outcomes, left));
  else printOutcomes(session, outcomes, "ROUND TRIP", formatRoundTrip);
  noteUnavailable(printer, left, "asked");
  return exitStatus(
    outcomes.map(({ error }) => error?.code ?? null),
    io.signal,
  );
}

async function pingRounds(session: Session, { views, left }: Asked, options: PingOptions): Promise<number> {
  const { printer, io } = session;
  noteUnavailable(printer, left, "asked");
  const { count = Number.POSITIVE_INFINITY, intervalMs = DEFAULT_INTERVAL_MS } = options;
  const tallies = new Map(views.map(({ agent }) => [agent, new Tally()]));
  for (let round = 1; round <= count && !io.signal.aborted; round++) {
    const startedMs = io.clock.monotonic();
    const outcomes = await ping(session, views);
    // An interrupted ping shows nothing about its agent.
    if (io.signal.aborted) break;
    for (const outcome of outcomes) tallies.get(outcome.agent)?.add(outcome);
    if (printer.json) printer.documentLine(roundDocument(outcomes, left));
    else for (const outcome of outcomes) printer.line(`${round}  ${describeOutcome(outcome)}`);
    if (round < count) await io.clock.sleep(startedMs + intervalMs - io.clock.monotonic(), io.signal);
  }
  if (!printer.json) {
    const rows = [...tallies].map(([agent, tally]) => [agent, ...tally.cells()]);
    printer.table(SUMMARY_COLUMNS, rows);
  }
  const codes = [...tallies.values()].map(({ code }) => code);
  return exitStatus(io.signal.aborted ? [...codes, "cancelled"] : codes, io.signal);
}

async function ping({ courier, io }: Session, views: readonly AgentView[]): Promise<Outcome<number>[]> {
  return await askEach(views, async (agent) => await courier.ping(agent, { signal: io.signal }));
}

/** The results of all rounds for one agent. */
class Tally {
  readonly #answersMs: number[] = [];
  #asked = 0;
  #code: ErrorCode | null = null;

  /** Of its last failure. */
  get code(): ErrorCode | null {
    return this.#code;
  }

  add({ answer, error }: Outcome<number>): void {
    this.#asked++;
    if (answer !== undefined) this.#answersMs.push(answer);
    if (error !== undefined) this.#code = error.code;
  }

  /** How many answered of how many, then minimum, median and maximum. */
  cells(): string[] {
    const sorted = this.#answersMs.toSorted((a, b) => a - b);
    const middle = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
    const [low, high] = middle;
    const median = low === undefined || high === undefined ? undefined : (low + high) / 2;
    const times = [sorted[0], median, sorted.at(-1)].map((ms) => (ms === undefined ? "" : formatRoundTrip(ms)));
    return [`${sorted.length} of ${this.#asked}`, ...times];
  }
}

function describeOutcome({ agent, answer, error }: Outcome<number>): string {
  return answer === undefined
    ? `${agent}  failed: ${error?.spoken.message ?? "no answer"}`
    : `${agent}  ${formatRoundTrip(answer)}`;
}

function roundDocument(outcomes: readonly Outcome<number>[], left: readonly Unavailable[]): object {
  return {
    ...unavailableField(left),
    agents: outcomes.map(({ agent, answer, error }) =>
      answer === undefined
        ? { agent, rtt_ms: null, code: error?.code, error: error?.message }
        : { agent, rtt_ms: Math.round(answer * 1000) / 1000 },
    ),
  };
}

function formatRoundTrip(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}
