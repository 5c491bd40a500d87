// `gpu-server sign-in-link`: a link that signs a browser in once, with the rights of a token.
import { systemClock } from "../../../base/clock.ts";
import { type StorePlace, withStore } from "../../store/shared/open.ts";
import { hashOf, newSecret } from "./secret.ts";

export const CODE_LIFETIME_MS = 5 * 60_000;

/**
 * Stores the hash of a code, also while the server runs.
 * @param name of the token whose rights the session has
 * @param base where browsers find the server
 * @returns the link. The code is behind `#`, which browsers do not send: no log has it
 * @throws CourierError `not_found` when no token has this name
 */
export async function signInLink(place: StorePlace, name: string, base: URL): Promise<string> {
  return await withStore(place, async ({ tokens, sessions }) => {
    const tokenHash = tokens.hashNamed(name);
    const code = newSecret("gpuc_code_");
    const nowMs = systemClock.now();
    await sessions.addCode(hashOf(code), tokenHash, { nowMs, expiresAtMs: nowMs + CODE_LIFETIME_MS });
    return new URL(`#code=${code}`, base).href;
  });
}
