// Turns what is known of a user into a caller, or into the reason why it is refused.
import { CourierError } from "../../../base/errors.ts";
import { type Caller, UserRefused } from "../caller.ts";
import { type Claims, callerName } from "./claims.ts";
import type { Roles } from "./role_map.ts";

export interface AdmissionOptions {
  readonly roles: Roles;
  /** Where the user's name is; null: in the usual places. */
  readonly nameClaim: string | null;
}

export class Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /**
   * @param claims of a user whom the platform knows
   * @throws CourierError `forbidden` for a user without a name, or without a role here; as `Roles.roleOf()`
   */
  admit(claims: Claims, way: Caller["way"], expiresAtMs: number | null): Caller {
    const { roles, nameClaim } = this.#options;
    const name = callerName(claims, nameClaim);
    if (name === undefined)
      throw new CourierError("forbidden", "The platform does not name this user", {
        hint: "Name the field with --auth-name-claim",
      });
    const role = roles.roleOf(claims);
    if (role === undefined) throw new UserRefused({ name, way });
    return { name, way, role, agents: null, verbs: null, expiresAtMs };
  }
}
