// Sessions of browsers: each stands for the token that it was begun with, and ends with it.
import type { Clock } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import { hashOfToken } from "../../store/new_token.ts";
import { SESSION_BOUNDS, type SessionStore } from "../../store/sessions.ts";
import type { Tokens } from "../../store/tokens.ts";
import type { Caller } from "../caller.ts";
import { hashOf, newSecret, seal, unseal } from "./secret.ts";

export interface SessionsDeps {
  readonly store: SessionStore;
  readonly tokens: Pick<Tokens, "findHash">;
  readonly clock: Pick<Clock, "now">;
}

/** The secret in a session's cookie, which a browser sends instead of an Authorization header. */
export interface InSession {
  readonly session: string;
}

/** The token that a session stands for: an own one, by its hash, or one of the platform. */
export type Opened = { readonly expiresAtMs: number } & (
  | { readonly tokenHash: Uint8Array }
  | { readonly token: string }
);

export const SESSION_LIFETIME_MS = 12 * 3_600_000;

export class Sessions {
  readonly #deps: SessionsDeps;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
  }

  /**
   * @param token that let the caller in
   * @returns undefined when all callers together have too many
   */
  async begin(caller: Pick<Caller, "name" | "way">, token: string): Promise<InSession | undefined> {
    return await this.#begin(caller, (secret) =>
      caller.way === "token"
        ? { token_hash: hashOfToken(token), sealed_token: null }
        : { token_hash: null, sealed_token: seal(secret, token) },
    );
  }

  /** The hash of the token that the code of a sign-in link stands for. Uses nothing up. */
  tokenOf(code: string): Uint8Array | CourierError {
    const { store, tokens, clock } = this.#deps;
    const tokenHash = store.findCode(hashOf(code), clock.now());
    return tokenHash === undefined || tokens.findHash(tokenHash) === undefined ? unusable() : tokenHash;
  }

  /** Uses up the code of a sign-in link. @returns undefined, with the code as it was, as `begin()` */
  async redeem(code: string): Promise<InSession | CourierError | undefined> {
    const { store, tokens, clock } = this.#deps;
    const tokenHash = this.tokenOf(code);
    if (tokenHash instanceof CourierError) return tokenHash;
    const owner = { name: tokens.findHash(tokenHash)?.name ?? "", way: "token" } as const;
    const session = await this.#begin(owner, () => ({ token_hash: tokenHash, sealed_token: null }));
    // Another process may have been first.
    if (session === undefined || (await store.takeCode(hashOf(code), clock.now())) !== undefined) return session;
    await this.end(session);
    return unusable();
  }

  /** Undefined: it has ended. */
  open({ session }: InSession): Opened | undefined {
    const { store, clock } = this.#deps;
    const found = store.find(hashOf(session), clock.now());
    if (found === undefined) return undefined;
    const { token_hash: tokenHash, sealed_token: sealed, expires_at_ms: expiresAtMs } = found;
    if (tokenHash !== null) return { tokenHash, expiresAtMs };
    return sealed === null ? undefined : { token: unseal(session, sealed), expiresAtMs };
  }

  async end({ session }: InSession): Promise<void> {
    await this.#deps.store.remove(hashOf(session));
  }

  /** Removes one whose token is gone. */
  forget({ session }: InSession): void {
    this.#deps.store.forget(hashOf(session));
  }

  async #begin(
    { name, way }: Pick<Caller, "name" | "way">,
    tokenOf: (secret: string) => { readonly token_hash: Uint8Array | null; readonly sealed_token: Uint8Array | null },
  ): Promise<InSession | undefined> {
    const { store, clock } = this.#deps;
    const session = newSecret("gpuc_session_");
    const nowMs = Math.round(clock.now());
    const row = { hash: hashOf(session), owner: `${way} ${name}`, expires_at_ms: nowMs + SESSION_LIFETIME_MS };
    const isAdded = await store.add({ ...row, ...tokenOf(session) }, nowMs, SESSION_BOUNDS);
    return isAdded ? { session } : undefined;
  }
}

function unusable(): CourierError {
  return new CourierError("unauthenticated", "This sign-in link was used, has expired or is invalid", {
    hint: "Make another one with: gpu-server sign-in-link NAME",
  });
}
