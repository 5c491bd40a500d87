// Which role a user of the platform has here: `--auth-role gp=admin,operator`.
import { CourierError } from "../../../base/errors.ts";
import { type Claims, claimAt, claimText } from "./claims.ts";
import { UserRole } from "./user_role.ts";

const HINT = "For example: --auth-role gp=admin,operator --auth-role viewer=user";

/** Finds the role of a user; undefined: it may do nothing here. */
export interface Roles {
  /** @throws CourierError `unavailable` when the roles cannot be read now */
  roleOf(claims: Claims): UserRole | undefined;
}

export class RoleMap implements Roles {
  readonly #claim: string;
  readonly #roles = new Map<string, UserRole>();

  /**
   * @param claim where the platform's role is; a list of roles may be there too
   * @param texts `role=name,name`, several of them with a semicolon between them
   * @throws CourierError `invalid`
   */
  constructor(claim: string, texts: readonly string[]) {
    this.#claim = claim;
    for (const text of texts.flatMap((each) => each.split(";"))) if (text.trim() !== "") this.#add(text.trim());
    if (this.#roles.size === 0)
      throw new CourierError("invalid", "Without --auth-role no user of the platform may do anything", { hint: HINT });
  }

  /** The highest of the roles that it has. */
  roleOf(claims: Claims): UserRole | undefined {
    const value = claimAt(claims, this.#claim);
    const names = (Array.isArray(value) ? value : [value]).map(claimText);
    const roles = names.map((name) => (name === undefined ? undefined : this.#roles.get(name)));
    return UserRole.options.find((role) => roles.includes(role));
  }

  #add(text: string): void {
    const [, word = "", list = ""] = /^([^=]*)=(.*)$/.exec(text) ?? [];
    const role = UserRole.safeParse(word.trim());
    const names = list.split(",").map((name) => name.trim());
    if (!role.success || names.includes(""))
      throw new CourierError("invalid", `--auth-role: ${JSON.stringify(text)} is not a role of ours and its names`, {
        hint: HINT,
      });
    for (const name of names) {
      if ((this.#roles.get(name) ?? role.data) !== role.data)
        throw new CourierError("invalid", `--auth-role: ${JSON.stringify(name)} has two roles`, { hint: HINT });
      this.#roles.set(name, role.data);
    }
  }
}
