// The agents that a request is for: named by the caller, or found on the share.
import { CourierError } from "../base/errors.ts";
import { isPattern, matchesGlob } from "../base/glob.ts";
import { namesText } from "../base/order.ts";
import { LIMITS } from "../protocol.ts";
import { type AgentView, isPresent } from "./agent_view.ts";
import type { FleetReader } from "./fleet.ts";
import { noAgent, unknownAgent } from "./refusals.ts";

/** The agents that a caller names, also by patterns with `*` and `?`, or all of them. */
export type Agents = readonly string[] | "all";

type Reader = Pick<FleetReader, "read" | "find">;

/** A view this young is good enough to send a command: an agent counts as silent only after 20 s. */
const VIEW_MAX_AGE_MS = 1000;

/**
 * One agent's view.
 * @throws CourierError `not_found` with the known names; `unavailable`
 */
export async function findAgent(fleet: Reader, name: string, maxAgeMs = VIEW_MAX_AGE_MS): Promise<AgentView> {
  const found = await fleet.find(name, maxAgeMs);
  if (found !== undefined) return found;
  throw unknownAgent(name, await fleet.read(maxAgeMs));
}

/**
 * The agents for a request that changes something.
 * - Names: these agents. A pattern: those of all that it fits, at least one.
 * - Undefined: the only agent, not counting those that stopped.
 * - All: also agents that stopped, because their machines miss the request. A silent legacy service is left out: it
 *   never says that it stops, and its document stays behind.
 * @throws CourierError `conflict` with the names when there are several and none was named; `unavailable` when there is
 *   no agent; `not_found`
 */
export async function chooseAgents(fleet: Reader, names: Agents | undefined): Promise<readonly AgentView[]> {
  if (names !== undefined && names !== "all") return await namedAgents(fleet, names);
  const views = await fleet.read();
  const present = views.filter(isPresent);
  if (present.length === 0) throw noAgent(views);
  if (names === "all") return views.filter((view) => isPresent(view) || view.state !== null);
  if (present.length === 1) return present;
  const known = namesText(present.map(({ agent }) => agent));
  throw new CourierError("conflict", `More than one agent (${known})`, { hint: "Choose one by its name" });
}

/**
 * The agents for a list: the named ones, or every agent but a silent legacy service.
 * @throws CourierError `unavailable` when there is no agent; `not_found`
 */
export async function listedAgents(fleet: Reader, names: Agents | undefined): Promise<readonly AgentView[]> {
  if (names !== undefined && names !== "all") return await namedAgents(fleet, names);
  const views = (await fleet.read()).filter(isCounted);
  if (views.length === 0) throw noAgent(views);
  return views;
}

/** Whether a list of these agents has this one. @param names undefined: all */
export function isListed(agent: string, names: Agents | undefined): boolean {
  return (
    names === undefined ||
    names === "all" ||
    names.includes(agent) ||
    names.some((name) => isPattern(name) && matchesGlob(name, agent))
  );
}

/** How long an agent must have been silent, or stopped, to be forgotten: a reboot of a box takes minutes. */
const FORGET_AFTER_MS = { silent: 300_000, stopped: LIMITS.silentMs } as const;

/**
 * The agent is there, or was a moment ago.
 * @param ageMs of its document, by the transport's clock
 * @returns undefined when it may be forgotten
 */
export function stillThere(view: AgentView, ageMs: number): CourierError | undefined {
  const { agent, online, reason } = view;
  if (!online && ageMs >= FORGET_AFTER_MS[reason === "stopped" ? "stopped" : "silent"]) return undefined;
  const isAway = reason === "stopped" || reason === "silent";
  return new CourierError(
    "conflict",
    `Cannot forget ${agent}: ${isAway ? "it was there a moment ago" : "it is there"}`,
    {
      hint: online
        ? `On ${agent}: sudo install.sh --uninstall, or stop gpu-agent`
        : `Wait ${reason === "stopped" ? "20 seconds" : "5 minutes"}: it may only be restarting`,
    },
  );
}

async function namedAgents(fleet: Reader, names: readonly string[]): Promise<readonly AgentView[]> {
  const found = await Promise.all(
    names.map(async (name) => (isPattern(name) ? await matching(fleet, name) : [await findAgent(fleet, name)])),
  );
  return [...new Map(found.flat().map((view) => [view.agent, view])).values()];
}

async function matching(fleet: Reader, pattern: string): Promise<readonly AgentView[]> {
  const views = await fleet.read(VIEW_MAX_AGE_MS);
  const found = views.filter((view) => isCounted(view) && matchesGlob(pattern, view.agent));
  if (found.length === 0) throw unknownAgent(pattern, views);
  return found;
}

/** Every agent but a silent legacy service. */
function isCounted({ legacyState, online }: AgentView): boolean {
  return legacyState === null || online;
}
