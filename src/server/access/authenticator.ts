// Finds out who sends a request: by an own token, or by the login that the platform has.
import { type Clock, isoTime } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import { hashOfToken } from "../store/new_token.ts";
import type { TokenNotes } from "../store/token_notes.ts";
import type { TokenEntry, Tokens } from "../store/tokens.ts";
import type { Caller } from "./caller.ts";
import type { InSession, Sessions } from "./sessions/sessions.ts";

/** The platform's own login: asked about everything that is not an own token. */
export interface Login {
  /** Who a token is of, or why it is refused: `unauthenticated`, `forbidden`, or `unavailable`. Never rejects. */
  authenticate(token: string): Promise<Caller | CourierError>;
  /** Whether it works, as far as that shows without a token. Logs it. @throws CourierError `unavailable`, with the reason */
  check(): Promise<void>;
}

export interface AuthenticatorDeps {
  readonly tokens: Pick<Tokens, "find" | "findHash">;
  /** Null: there are only own tokens. */
  readonly login: Login | null;
  /** Null: browsers cannot sign in. */
  readonly sessions: Pick<Sessions, "open" | "forget"> | null;
  /** Notes when own tokens are used. */
  readonly notes: Pick<TokenNotes, "use">;
  readonly clock: Pick<Clock, "now">;
}

/** Lets people and secret scanners recognize an own token. */
const OWN = "gpuc_";

/** What shows who sends a request: its Authorization header, or its session. */
export type Credential = string | InSession;

export class Authenticator {
  readonly #deps: AuthenticatorDeps;

  constructor(deps: AuthenticatorDeps) {
    this.#deps = deps;
  }

  /** The caller that an Authorization header or a session is of, or why it is refused. Never rejects. */
  async authenticate(sent: Credential | undefined): Promise<Caller | CourierError> {
    return typeof sent === "object" ? await this.#ofSession(sent) : await this.#ofHeader(sent);
  }

  /** As `authenticate()`, for the own token with this hash. */
  authenticateHash(hash: Uint8Array): Caller | CourierError {
    return this.#ofEntry(this.#deps.tokens.findHash(hash), () => hash);
  }

  async #ofHeader(header: string | undefined): Promise<Caller | CourierError> {
    const token = /^Bearer +(\S+)$/i.exec(header?.trim() ?? "")?.[1];
    const { tokens, login } = this.#deps;
    if (header === undefined || token === undefined) {
      const source =
        login === null ? "Add a token with: gpu-server token add" : "Log in to the platform to get a token";
      const hint = `Send the header Authorization: Bearer TOKEN. ${source}`;
      return new CourierError("unauthenticated", "No token was sent", { hint });
    }
    if (login !== null && !token.startsWith(OWN)) return await login.authenticate(token);
    return this.#ofEntry(tokens.find(token), () => hashOfToken(token));
  }

  #ofEntry(entry: TokenEntry | undefined, hash: () => Uint8Array): Caller | CourierError {
    const { clock, notes } = this.#deps;
    if (entry === undefined)
      return new CourierError("unauthenticated", "Invalid token", {
        hint: "It may have been revoked. Add one with: gpu-server token add",
      });
    if (hasExpired(entry, clock)) return expired(entry);
    notes.use(hash());
    return asCaller(entry);
  }

  /** A session ends with its token. While the platform cannot be asked, it goes on, but nobody is let in. */
  async #ofSession(sent: InSession): Promise<Caller | CourierError> {
    const { sessions } = this.#deps;
    const opened = sessions?.open(sent);
    if (opened === undefined) return sessionEnded();
    const { expiresAtMs } = opened;
    const caller =
      "token" in opened ? await this.#ofHeader(`Bearer ${opened.token}`) : this.authenticateHash(opened.tokenHash);
    if (!(caller instanceof CourierError))
      return { ...caller, expiresAtMs: Math.min(expiresAtMs, caller.expiresAtMs ?? expiresAtMs) };
    if (caller.code !== "unauthenticated") return caller;
    sessions?.forget(sent);
    return sessionEnded();
  }
}

function asCaller({ name, role, agents, verbs, expiresAtMs, accounts }: TokenEntry): Caller {
  const limits = { agents: agents && new Set(agents), verbs: verbs && new Set(verbs), expiresAtMs };
  return { name, way: "token", role, ...limits, accounts };
}

function sessionEnded(): CourierError {
  return new CourierError("unauthenticated", "The session has ended", { hint: "Sign in again" });
}

function hasExpired({ expiresAtMs }: TokenEntry, clock: Pick<Clock, "now">): boolean {
  return expiresAtMs !== null && clock.now() >= expiresAtMs;
}

function expired({ name, expiresAtMs }: TokenEntry): CourierError {
  return new CourierError("unauthenticated", `Token "${name}" expired at ${isoTime(expiresAtMs ?? 0)}`, {
    hint: `Revoke it and add another one: gpu-server token revoke ${name}`,
  });
}
