// The file of `--jwt-users`: which role each user has here, for tokens that do not say it.
import { statSync } from "node:fs";
import { asCourierError, CourierError, systemCode } from "../../../base/errors.ts";
import { placeVersion } from "../../../trust/file_safety.ts";
import { type Claims, claimText } from "./claims.ts";
import type { Roles } from "./role_map.ts";
import { readSettingsFile } from "./settings_file.ts";
import type { Trouble } from "./trouble.ts";
import { UserRole } from "./user_role.ts";

const OPTION = "--jwt-users";

/** Read again when it changes. */
export class UserList implements Roles {
  readonly #path: string;
  readonly #trouble: Trouble;
  #roles: ReadonlyMap<string, UserRole>;
  /** Equal while the file is the same. */
  #version: string;
  #failure: CourierError | null = null;

  /** @throws CourierError `invalid` or `forbidden` when the file cannot be used */
  constructor(path: string, trouble: Trouble) {
    this.#path = path;
    this.#trouble = trouble;
    this.#version = versionOf(path);
    this.#roles = readRoles(path);
  }

  roleOf(claims: Claims): UserRole | undefined {
    this.#look();
    const subject = claimText(claims["sub"]);
    return subject === undefined ? undefined : this.#roles.get(subject);
  }

  /** @throws CourierError `unavailable` when the file cannot be used now: nobody of it is let in */
  #look(): void {
    const version = versionOf(this.#path);
    if (version !== this.#version) this.#read();
    this.#version = version;
    if (this.#failure !== null) throw this.#failure;
  }

  #read(): void {
    try {
      this.#roles = readRoles(this.#path);
      this.#failure = null;
      this.#trouble.ended("users");
    } catch (error) {
      const { message, hint } = asCourierError(error);
      this.#failure = new CourierError("unavailable", message, { hint, cause: error });
      this.#trouble.failed("users", this.#failure);
    }
  }
}

function versionOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs, placeVersion(path)].join(" ");
  } catch (error) {
    return systemCode(error) ?? "unknown";
  }
}

function readRoles(path: string): ReadonlyMap<string, UserRole> {
  const roles = new Map<string, UserRole>();
  const lines = readSettingsFile(path, { option: OPTION }).toString("utf8").split("\n");
  for (const [index, line] of lines.entries()) {
    const text = line.trim();
    if (text === "" || text.startsWith("#")) continue;
    const place = `${OPTION}: line ${index + 1} of ${path}`;
    if (/\s#/.test(text))
      throw new CourierError("invalid", `${place} has a comment after its subject`, {
        hint: "Put the comment in a line of its own: it would be part of the subject",
      });
    const [, word, subject = ""] = /^(\S+)\s+(.+)$/.exec(text) ?? [];
    const role = UserRole.safeParse(word);
    if (!role.success || roles.has(subject))
      throw new CourierError("invalid", `${place} is not "gp SUBJECT" or "viewer SUBJECT"`, {
        hint: "Name the subject of each user's tokens once, for example: gp alice",
      });
    roles.set(subject, role.data);
  }
  return roles;
}
