// For the tests of logins: the code of a refusal, and a log that is kept.
import { CourierError } from "#src/base/errors.ts";
import type { Log } from "#src/base/log.ts";
import type { Login } from "#src/server/access/authenticator.ts";

/** Why a token is refused; "none": it is let in. */
export async function refusalOf(login: Login, token: string): Promise<string> {
  const caller = await login.authenticate(token);
  return caller instanceof CourierError ? caller.code : "none";
}

export class ListLog implements Log {
  readonly #lines: string[] = [];

  /** All of it. */
  get text(): string {
    return this.#lines.join("\n");
  }

  error(fields: object, message: string): void {
    this.#lines.push(`error ${message} ${JSON.stringify(fields)}`);
  }

  warn(fields: object, message: string): void {
    this.#lines.push(`warn ${message} ${JSON.stringify(fields)}`);
  }

  info(fields: object, message: string): void {
    this.#lines.push(`info ${message} ${JSON.stringify(fields)}`);
  }

  debug(fields: object, message: string): void {
    this.#lines.push(`debug ${message} ${JSON.stringify(fields)}`);
  }
}
