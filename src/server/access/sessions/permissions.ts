// What a caller may do, as a page needs it to leave out what it may not use. The routes decide again.
import { VERBS, Verb } from "../../../protocol.ts";
import type { Caller } from "../caller.ts";

/** `change`: anything at all. */
export type Permissions = Readonly<
  Record<
    | Verb
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
  const mayUse = (verb: Verb): boolean =>
    verb === "ping" || ((role === "gp" || !VERBS[verb].changing) && verbs?.has(verb) !== false);
  const uses = Object.fromEntries(Verb.options.map((verb) => [verb, mayUse(verb)]));
  return {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fromEntries() loses which keys there are
    ...(uses as Record<Verb, boolean>),
    change: Verb.options.some((verb) => VERBS[verb].changing && mayUse(verb)),
    set_active_models: role === "gp" && isWhole,
    trust_agents: role === "gp" && isWhole,
    forget_agents: role === "gp" && isWhole,
    examine: isWhole,
    read_audit: role === "gp" && isWhole,
    show_setup: isWhole,
    manage_tokens: managesTokens && role === "gp" && way === "token" && verbs === null,
  };
}
