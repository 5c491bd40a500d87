// Who sends a request, and what it may do and see.
import { CourierError } from "../../base/errors.ts";
import { VERBS, type Verb } from "../../protocol.ts";
import type { TokenAccounts } from "../store/added_tokens.ts";
import type { Role } from "../store/tokens.ts";

/** A null is no limit. */
export interface Caller {
  /** Of the token, or as the platform knows its user. */
  readonly name: string;
  /** How it showed who it is; `trusted` is everybody on the listener without tokens. */
  readonly way: "token" | "introspection" | "jwt" | "trusted";
  readonly role: Role;
  /** The only agents that exist for it. */
  readonly agents: ReadonlySet<string> | null;
  /** The only verbs that it may use. */
  readonly verbs: ReadonlySet<Verb> | null;
  /** On the server's clock. */
  readonly expiresAtMs: number | null;
  /** Of an own token: it may share what it has with the token that added it. */
  readonly accounts?: TokenAccounts;
}

/** Whether it is held to the limits of a viewer, as everybody is who cannot change the whole fleet: boxes that read the mirror, too. */
export function isHeldToLimits({ role, agents, verbs }: Caller): boolean {
  return role !== "gp" || agents !== null || (verbs !== null && ![...verbs].some((verb) => VERBS[verb].changing));
}

type Named = Pick<Caller, "name" | "way" | "accounts">;

/** Under what its requests and listeners are counted. Names are only unique among the callers of one way. */
export function limitsKeyOf({ way, name, accounts }: Named): string {
  return `${way} ${accounts?.limits ?? name}`;
}

/** The beginning of a sentence about a caller. */
export function describeCaller({ name, way }: Named): string {
  return way === "token" ? `Token "${name}"` : `"${name}"`;
}

/** A user whom the platform knows, and who may do nothing here. */
export class UserRefused extends CourierError {
  readonly user: Named;

  constructor(user: Named) {
    super("forbidden", `${describeCaller(user)} has no role here`, {
      hint: "The administrator of gpu-server maps roles of the platform with --auth-role, or lists users in --jwt-users",
    });
    this.user = user;
  }
}

/** Everybody on the listener without tokens. */
export const TRUSTED_CALLER: Caller = {
  name: "trusted",
  way: "trusted",
  role: "gp",
  agents: null,
  verbs: null,
  expiresAtMs: null,
};
