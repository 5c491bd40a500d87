// The courier's errors: agents that are away, agents that refuse, and jobs that cannot be cancelled.

import { CourierError } from "../base/errors.ts";
import { isPattern } from "../base/glob.ts";
import { compareNames } from "../base/order.ts";
import type { Job, Response } from "../protocol.ts";
import { troubleHint } from "../trust/agents/troubles.ts";
import type { AgentView } from "./agent_view.ts";
import { describeAgent, hasDocument } from "./describe_view.ts";
import { firstOf, NAMED } from "./named.ts";
import { NobodyAnswered, type Unavailable } from "./unavailable.ts";

/** No agent is online. */
export function noAgent(views: readonly AgentView[]): CourierError {
  const known = firstOf(views, describeAgent);
  return new CourierError("unavailable", known === "" ? "No agent is online" : `No agent is online: ${known}`, {
    hint: troubledHint(views) ?? "Start gpu-agent on a GPU machine that mounts this share",
  });
}

/** No agent has this name, or one of this pattern. */
export function unknownAgent(name: string, views: readonly AgentView[]): CourierError {
  const message = isPattern(name) ? `No agent matches "${name}"` : `Unknown agent "${name}"`;
  return new CourierError("not_found", message, { hint: knownNames(name, views) });
}

/** Of many those first that begin as the name does. */
function knownNames(name: string, views: readonly AgentView[]): string {
  if (views.length === 0) return "No agent has published its state on this share";
  const known = views
    .map(({ agent }) => ({ agent, shared: sharedStart(agent, name) }))
    .toSorted((a, b) => compareNames(a.agent, b.agent));
  const nearest = known.length <= NAMED ? known : known.toSorted((a, b) => b.shared - a.shared);
  return `Known agents: ${firstOf(nearest, ({ agent }) => agent)}`;
}

function sharedStart(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length += 1;
  return length;
}

/** Several agents were asked, and none could answer. */
export function nobodyAnswered(views: readonly AgentView[], unavailable: readonly Unavailable[]): CourierError {
  if (views.every(({ online }) => !online)) return noAgent(views);
  const reasons = firstOf(unavailable, ({ agent, reason }) => `${agent}: ${reason}`, "; ");
  const [code = "unavailable", ...others] = new Set(unavailable.map((entry) => entry.code));
  const shared = others.length === 0 ? code : "unavailable";
  return new NobodyAnswered(shared, `No agent could answer. ${reasons}`, unavailable);
}

/** The agent is away, so nothing was sent to it. */
export function agentAway(view: AgentView): CourierError {
  const code = view.key?.trouble?.kind === "conflict" ? "conflict" : "unavailable";
  return new CourierError(code, describeAgent(view), { hint: awayHint(view) });
}

/** The agent's response says that the command did not succeed. Its texts are foreign. */
export function refusal(agent: string, { code, error, message, hint }: Response): CourierError {
  // A legacy service sends no code and has no fixed texts: all that is known is that it failed.
  return new CourierError(code ?? "internal", error ?? message ?? "no reason given", { hint, saidBy: agent });
}

/** Only an active job can be cancelled, and only where an agent, not a legacy service, runs it. */
export function tooLate({ id, model, state, agent }: Job): CourierError {
  const why = id === null ? `${agent} is a legacy service and cannot cancel` : `it has already ${state}`;
  return new CourierError(id === null ? "unimplemented" : "conflict", `Cannot cancel the pull of ${model}: ${why}`);
}

function awayHint(view: AgentView): string {
  const { agent, reason } = view;
  const troubled = troubledHint([view]);
  if (troubled !== undefined) return troubled;
  if (reason === "stopped") return `On ${agent}: systemctl start gpu-command-service`;
  if (reason === "degraded") return "Give one of the two agents another --name";
  return "Check that the machine is up and that it mounts the share";
}

/** What to do about the first agent that is away because its documents do not count, or belong to another key. */
function troubledHint(views: readonly AgentView[]): string | undefined {
  const troubled = views.find((view) => view.key?.trouble?.kind === "conflict" || !hasDocument(view));
  const trouble = troubled?.key?.trouble;
  return troubled === undefined || !trouble ? undefined : troubleHint(troubled.agent, trouble);
}
