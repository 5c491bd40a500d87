// What the courier says of agents that are away and of those that refuse. Pure; imports errors, protocol and views.
import { CourierError } from "../base/errors.ts";
import type { Response } from "../protocol.ts";
import { type AgentView, describeView } from "./fleet.ts";
import type { Unavailable } from "./models.ts";

/** An agent that cannot be asked, as an entry beside those that could. */
export function away(view: AgentView, reason = describeView(view)): Unavailable {
  return { agent: view.agent, code: "unavailable", reason };
}

/** Nobody is there to ask. */
export function noAgent(views: readonly AgentView[]): CourierError {
  const known = views.map((view) => `${view.agent} is ${describeView(view)}`).join(", ");
  return new CourierError("unavailable", known === "" ? "No agent is there" : `No agent is there: ${known}`, {
    hint: "Start gpu-agent on a box that sees this share",
  });
}

/** Some are there, and none could say. */
export function nobodyAnswered(views: readonly AgentView[], unavailable: readonly Unavailable[]): CourierError {
  if (views.every(({ online }) => !online)) return noAgent(views);
  const reasons = unavailable.map(({ agent, reason }) => `${agent}: ${reason}`).join("; ");
  const codes = new Set(unavailable.map(({ code }) => code));
  const [only = "unavailable"] = codes;
  return new CourierError(codes.size === 1 ? only : "unavailable", `No agent can say. ${reasons}`);
}

/** What an agent answered that did not succeed. */
export function refusal(agent: string, { code, error, message, hint }: Response): CourierError {
  // A legacy service sends no code, and its text is no interface: all that is known is that the box failed.
  const text = error ?? message ?? "no reason given";
  return new CourierError(code ?? "internal", code === undefined ? `Agent ${agent}: ${text}` : text, { hint });
}

/** Nothing is sent to an agent that is away. */
export function agentAway(view: AgentView): CourierError {
  return new CourierError("unavailable", `Agent ${view.agent} is ${describeView(view)}`, { hint: awayHint(view) });
}

function awayHint(view: AgentView): string {
  if (view.reason === "stopped") return "Start gpu-agent on its box";
  if (view.reason === "degraded") return "Give one of the two agents another --name";
  return "Is the box up, and does it see the share?";
}
