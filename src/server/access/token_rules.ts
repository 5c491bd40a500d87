// Which tokens may be: what a role can use, and what the owner of a token may give to another one.
import { CourierError } from "../../base/errors.ts";
import { VERBS } from "../../protocol.ts";
import type { Role, TokenEntry, TokenLimits } from "../store/tokens.ts";

/** @throws CourierError `invalid` for a viewer that may use a changing verb, and for one of the mirror with agents or verbs */
export function requireUsable(role: Role, { agents, verbs }: Pick<TokenLimits, "agents" | "verbs">): void {
  if (role === "mirror" && (agents !== null || verbs !== null))
    throw new CourierError(
      "invalid",
      "A token of the role mirror has no agents and no verbs: it only reads the mirror",
      {
        hint: "Leave out --agents and --verbs",
      },
    );
  const changing = role === "viewer" ? verbs?.find((verb) => VERBS[verb].changing) : undefined;
  if (changing !== undefined)
    throw new CourierError("invalid", `A token of the role viewer cannot use ${changing}: it only reads`, {
      hint: "Use --role gp, which --verbs and --agents limit",
    });
}

/** Whether a token sees no agent, and uses no verb, that another one may not. */
export function isWithinScope(
  limits: Pick<TokenLimits, "agents" | "verbs">,
  of: Pick<TokenLimits, "agents" | "verbs">,
): boolean {
  return isWithin(limits.agents, of.agents) && isWithin(limits.verbs, of.verbs);
}

/** Why the owner of a token may not add, or revoke, one with these limits; undefined: it may. */
export function beyondOwner(limits: TokenLimits, owner: TokenEntry): CourierError | undefined {
  const wider = (what: string): CourierError =>
    new CourierError("forbidden", `Token "${owner.name}" itself has ${what}`, {
      hint: "Leave the limit out to give the new token the same, or name a narrower one",
    });
  if (!isWithin(limits.agents, owner.agents)) return wider(`only the agents ${owner.agents?.join(", ")}`);
  if (!isWithin(limits.verbs, owner.verbs)) return wider(`only the verbs ${owner.verbs?.join(", ")}`);
  const end = owner.expiresAtMs;
  return end === null || (limits.expiresAtMs !== null && limits.expiresAtMs <= end)
    ? undefined
    : wider("an earlier end");
}

/** A null is everything. */
function isWithin(names: readonly string[] | null, all: readonly string[] | null): boolean {
  return all === null || (names !== null && names.every((name) => all.includes(name)));
}
