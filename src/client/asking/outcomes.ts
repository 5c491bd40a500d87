// Asks several agents for the same, and turns their answers into a table and an exit status.

import { asCourierError, CourierError, ERROR_CODES, type ErrorCode } from "../../base/errors.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import type { Tone } from "../../program/style.ts";
import { type Asked, askedInVain, noteUnavailable, withoutManyAway } from "../output/unavailable.ts";
import type { Session } from "../session.ts";

export interface Outcome<Answer> extends Asked {
  readonly agent: string;
  readonly answer?: Answer;
  readonly error?: CourierError;
}

/**
 * The agents that the command line means.
 * @throws CourierError as `Courier.choose()`
 */
export async function chosenViews({ courier, agents }: Session): Promise<readonly AgentView[]> {
  try {
    return await courier.choose(agents);
  } catch (error) {
    const { code, message } = asCourierError(error);
    if (code !== "conflict") throw error;
    throw new CourierError(code, message, { hint: "Choose with --agent NAME, or use --all" });
  }
}

/** Asks all at once; one entry per agent, in their order. Never rejects. */
export async function askEach<Answer>(
  views: readonly AgentView[],
  ask: (agent: string) => Promise<Answer>,
): Promise<Outcome<Answer>[]> {
  const askOne = async (view: AgentView): Promise<Outcome<Answer>> => {
    const { agent } = view;
    try {
      return { agent, answer: await ask(agent) };
    } catch (caught) {
      const error = asCourierError(caught);
      return { agent, error, ...askedInVain(view, error) };
    }
  };
  return await Promise.all(views.map(askOne));
}

/**
 * The exit status of what was asked of several agents.
 * @param codes one per agent, null where it succeeded
 */
export function exitStatus(codes: readonly (ErrorCode | null)[], signal: AbortSignal): number {
  const failed = codes.filter((code) => code !== null);
  const [first] = failed;
  if (first === undefined) return 0;
  if (signal.aborted && failed.includes("cancelled")) return ERROR_CODES.cancelled.exit;
  return codes.length === 1 ? ERROR_CODES[first].exit : 1;
}

/** As `exitStatus()`, of outcomes. */
export function outcomesStatus(outcomes: readonly Pick<Outcome<unknown>, "error">[], signal: AbortSignal): number {
  return exitStatus(
    outcomes.map(({ error }) => error?.code ?? null),
    signal,
  );
}

/**
 * Prints a table of one line per agent, without those that are offline if they are many; or, when only one was asked and
 * failed, its error.
 */
export function printOutcomes<Answer>(
  { printer }: Session,
  outcomes: readonly Outcome<Answer>[],
  title: string,
  describe: (answer: Answer) => string,
  counted: "agents" | "jobs" | "models" | "deletions" = "agents",
): void {
  const [only] = outcomes;
  if (outcomes.length === 1 && only?.error !== undefined) {
    printer.error(only.error);
    return;
  }
  const { shown, away } = withoutManyAway(outcomes);
  const rows = shown.map(({ agent, answer, error }) => [
    agent,
    answer === undefined ? `failed: ${describeError(error)}` : describe(answer),
  ]);
  if (rows.length > 0) printer.table([{ title: "AGENT" }, { title, flexible: true, tone: resultTone }], rows);
  noteUnavailable(printer, away, "asked");
  const failed = outcomes.filter(({ error }) => error !== undefined).length;
  if (failed > 0) printer.note(`${failed} of ${outcomes.length} ${counted} failed`);
}

function resultTone(result: string): Tone | null {
  return result.startsWith("failed: ") ? "bad" : null;
}

function describeError(error: CourierError | undefined): string {
  if (error === undefined) return "no answer";
  const [message, hint] = [error.spoken.message, error.hint];
  return hint === undefined ? message : `${message}. ${hint}`;
}
