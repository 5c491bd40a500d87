// The agents that a list does not include, each as an entry with the reason.
import { asCourierError, CourierError } from "../base/errors.ts";
import type { Code } from "../protocol.ts";
import type { AgentView } from "./agent_view.ts";
import { describeView } from "./describe_view.ts";

/** An agent that could not answer. */
export interface Unavailable {
  readonly agent: string;
  readonly code: Code;
  readonly reason: string;
}

/** The entry of an agent that is away. */
export function awayEntry(view: AgentView, reason = describeView(view)): Unavailable {
  return { agent: view.agent, code: "unavailable", reason };
}

/** The entry of an agent that could not answer. */
export function failedEntry(agent: string, error: unknown): Unavailable {
  const { code, message } = asCourierError(error);
  return { agent, code, reason: message };
}

/** Several agents were asked, and none could answer. */
export class NobodyAnswered extends CourierError {
  readonly unavailable: readonly Unavailable[];

  constructor(code: Code, message: string, unavailable: readonly Unavailable[]) {
    super(code, message);
    this.unavailable = unavailable;
  }
}

/** An older agent only says that it does not know the verb. */
export function explained(agent: string, error: CourierError): CourierError {
  if (error.code !== "unimplemented" || error.saidBy === undefined) return error;
  return new CourierError("unimplemented", `The agent on ${agent} is too old for this`, {
    hint: `Install this release of gpu-agent on ${agent}`,
    cause: error,
  });
}
