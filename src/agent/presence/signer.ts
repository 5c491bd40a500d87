// Who signed the document under the agent's name, and whether somebody only kept it.
import { LIMITS, type State } from "../../protocol.ts";
import { parseRawKey, type SigningKey } from "../../trust/keys.ts";
import { verifyDocument } from "../../trust/signature.ts";

/** `nobody`: it is not signed, or was changed after it was signed. Anybody can sign with a key of their own. */
export function signerOf(text: string, state: Pick<State, "key">, mine: SigningKey): "me" | "another" | "nobody" {
  if (verifyDocument("state", text, mine) === "signed") return "me";
  const key = state.key === undefined ? null : parseRawKey(state.key);
  return key !== null && verifyDocument("state", text, key) === "signed" ? "another" : "nobody";
}

/** Whether the agent that signed it runs no more, since one that runs signs the present time. @param nowMs the transport's clock */
export function isOld({ published_at_ms = 0 }: Pick<State, "published_at_ms">, nowMs: number): boolean {
  return nowMs - published_at_ms >= LIMITS.silentMs;
}
