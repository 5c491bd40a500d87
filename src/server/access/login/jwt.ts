// Verifies the platform's tokens here, with its public keys or the secret that it signs with.
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";
import type { Clock } from "../../../base/clock.ts";
import { asCourierError, CourierError } from "../../../base/errors.ts";
import type { Login } from "../authenticator.ts";
import type { Caller } from "../caller.ts";
import type { Admission } from "./admission.ts";
import type { Keys, VerificationKey } from "./key.ts";
import { withoutReason } from "./trouble.ts";

export interface JwtLoginDeps {
  readonly keys: Keys;
  /** Null: any, and none. */
  readonly issuer: string | null;
  /** Null: any, and none. */
  readonly audience: string | null;
  readonly admission: Admission;
  readonly clock: Pick<Clock, "now">;
}

/** A token that cannot be revoked must not live long. */
const MAX_LIFETIME_MS = 24 * 3_600_000;
const HINT = "Log in to the platform again";

export class JwtLogin implements Login {
  readonly #deps: JwtLoginDeps;

  constructor(deps: JwtLoginDeps) {
    this.#deps = deps;
  }

  async authenticate(token: string): Promise<Caller | CourierError> {
    try {
      const key = await this.#deps.keys.find(kidOf(token));
      if (key === undefined)
        return new CourierError("unauthenticated", "The key of this token is unknown", { hint: HINT });
      const claims = await this.#verify(token, key);
      return this.#deps.admission.admit(claims, "jwt", this.#expiryOf(claims));
    } catch (error) {
      return asRefusal(error);
    }
  }

  async check(): Promise<void> {
    await this.#deps.keys.check();
  }

  async #verify(token: string, { key, algorithm }: VerificationKey): Promise<JWTPayload> {
    const { issuer, audience, clock } = this.#deps;
    const { payload } = await jwtVerify(token, key, {
      algorithms: [algorithm],
      requiredClaims: ["exp"],
      currentDate: new Date(clock.now()),
      ...(issuer === null ? {} : { issuer }),
      ...(audience === null ? {} : { audience }),
    });
    return payload;
  }

  /**
   * @throws CourierError `unauthenticated` for a token that lives too long: from its issue, from the start of its time where
   * it does not show that, or else from now on
   */
  #expiryOf({ exp = Number.NaN, iat, nbf }: JWTPayload): number {
    const expiresAtMs = exp * 1000;
    const nowMs = this.#deps.clock.now();
    const issuedS = iat ?? nbf;
    const issuedMs = issuedS === undefined ? nowMs : Math.min(issuedS * 1000, nowMs);
    if (expiresAtMs - issuedMs <= MAX_LIFETIME_MS) return expiresAtMs;
    throw new CourierError("unauthenticated", "The token lives for more than 24 h", {
      hint: "The platform must issue tokens of at most 24 h: they cannot be revoked here",
    });
  }
}

function kidOf(token: string): string | undefined {
  const { kid } = decodeProtectedHeader(token);
  return typeof kid === "string" ? kid : undefined;
}

/** In our own words: the library's may quote the token. */
function asRefusal(error: unknown): CourierError {
  if (error instanceof CourierError) return withoutReason(error);
  if (error instanceof errors.JWTExpired) return refusal("The token has expired");
  if (error instanceof errors.JWTClaimValidationFailed && CLAIMS.includes(error.claim))
    return refusal(`The token's "${error.claim}" is missing or wrong`);
  // `decodeProtectedHeader()` throws a TypeError for what is no token.
  if (error instanceof errors.JOSEError || error instanceof TypeError) return refusal("Invalid token");
  return asCourierError(error);
}

const CLAIMS: readonly string[] = ["exp", "nbf", "iat", "iss", "aud"];

function refusal(message: string): CourierError {
  return new CourierError("unauthenticated", message, { hint: HINT });
}
