// What a caller may do, as a page needs it to leave out what it may not use. The routes decide again.
import type { z } from "zod";
import { VERBS, Verb } from "../../../protocol.ts";
import type { Caller } from "../caller.ts";

/** Those with a route. The mirror is that of the whole fleet, and has routes of its own. */
export const RouteVerb = Verb.exclude(["fetch_model"]);
type RouteVerb = z.infer<typeof RouteVerb>;

/** `change`: anything at all. */
export type Permissions = Readonly<
  Record<
    | RouteVerb
    | "change"
    | "set_active_models"
    | "trust_agents"
    | "forget_agents"
    | "examine"
    | "read_audit"
    | "show_setup"
    | "manage_tokens",
    boolean
  >
>;

/** @param managesTokens whether the server was started with `--manage-tokens` */
export function permissionsOf(caller: Caller, { managesTokens }: { readonly managesTokens: boolean }): Permissions {
  const { role, agents, verbs, way } = caller;
  const isWhole = agents === null && verbs === null;
  const mayUse = (verb: RouteVerb): boolean =>
    verb === "ping" || ((role === "gp" || !VERBS[verb].changing) && verbs?.has(verb) !== false);
  const uses = Object.fromEntries(RouteVerb.options.map((verb) => [verb, mayUse(verb)]));
  return {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fromEntries() loses which keys there are
    ...(uses as Record<RouteVerb, boolean>),
    change: RouteVerb.options.some((verb) => VERBS[verb].changing && mayUse(verb)),
    set_active_models: role === "gp" && isWhole,
    trust_agents: role === "gp" && isWhole,
    forget_agents: role === "gp" && isWhole,
    examine: isWhole,
    read_audit: role === "gp" && isWhole,
    show_setup: isWhole,
    manage_tokens: managesTokens && role === "gp" && way === "token" && verbs === null,
  };
}
