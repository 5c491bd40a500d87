// What the senders of a chaos run know of their commands.
import { parseJson } from "#src/base/foreign_text.ts";
import { Response, type Verb } from "#src/protocol.ts";

export interface Answer {
  readonly atMs: number;
  readonly text: string;
}

/** How a request ended for its sender: `success`, or the code of the error. */
interface End {
  readonly atMs: number;
  readonly code: string;
  readonly message: string;
}

/** What a sender asks for. */
export interface Wish {
  readonly version: 1 | 2;
  /** The name of an agent, or `shared`. */
  readonly inbox: string;
  readonly verb: Verb;
  readonly model: string | null;
  readonly destination: string | null;
  readonly jobId: string | null;
  readonly ttlMs: number;
  /** No other command is about its model, so each effect on the model is its own. */
  readonly isAlone: boolean;
}

/** One command and what became of it. All times are of this machine's clock, which is also the share's. */
export interface Command extends Wish {
  /** Empty until something was sent. */
  id: string;
  sentFromMs: number;
  /** Its file existed by then; infinite: perhaps it never did. */
  publishedByMs: number;
  withdrawnAtMs: number | null;
  /** Version 1: its file was written again under the same id, perhaps before an agent saw it. */
  isReplaced: boolean;
  /** Version 1: it was written in two steps. */
  isHalved: boolean;
  /** Version 1: there is another command of this id. What an agent logs under it may be about either. */
  sharesId: boolean;
  readonly answers: Answer[];
  /** Version 1: there is a response under its id that is not older, perhaps to another command. */
  hasResponse: boolean;
  end: End | null;
}

export function newCommand(wish: Wish): Command {
  return {
    ...wish,
    id: "",
    sentFromMs: Date.now(),
    publishedByMs: Number.POSITIVE_INFINITY,
    withdrawnAtMs: null,
    isReplaced: false,
    isHalved: false,
    sharesId: false,
    answers: [],
    hasResponse: false,
    end: null,
  };
}

/** @returns undefined when it does not follow the protocol */
export function responseOf({ text }: Answer): Response | undefined {
  return Response.safeParse(parseJson(text)).data;
}

/** A command in one line. */
export function describe(command: Command, originMs: number): string {
  const { id, verb, model, destination, inbox, ttlMs, sentFromMs, publishedByMs, withdrawnAtMs, end } = command;
  const at = (ms: number): string => (Number.isFinite(ms) ? ((ms - originMs) / 1000).toFixed(2) : "never");
  const names = [model, destination].filter((name) => name !== null).join(" to ");
  const given = end === null ? "" : `; ended at ${at(end.atMs)} with ${end.code} "${end.message}"`;
  const answers = command.answers.map((answer) => `; answer at ${at(answer.atMs)}: ${answer.text.slice(0, 300)}`);
  const withdrawn = withdrawnAtMs === null ? "" : `; withdrawn at ${at(withdrawnAtMs)}`;
  const sent = `sent at ${at(sentFromMs)} to ${at(publishedByMs)}, ttl ${ttlMs / 1000} s`;
  return `${verb} ${names} ${id} in ${inbox} (${sent}${withdrawn}${given}${answers.join("")})`;
}
