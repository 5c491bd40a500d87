// Decides which commands may run: by their signatures, and by which of them this agent requires to be signed.
import type { Clock } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { LIMITS, VERBS } from "../../protocol.ts";
import type { Delivery, Transport } from "../../transport.ts";
import { mustBeSigned, type SignatureMode } from "../../trust/requirement.ts";
import type { TrustedSenders } from "../../trust/roster/trusted_senders.ts";
import { findSignature, isSignedBy } from "../../trust/signature.ts";
import type { TrustedKey } from "../../trust/trusted_keys.ts";
import { type AcceptedCommand, judge, type Refusal } from "./judge.ts";

/** Not exported, so that nothing but `verify()` makes a verified command. */
const verified = Symbol("verified");

/** A command that is signed by a key which may use its verb, or that this agent runs without a signature. */
export type VerifiedCommand = AcceptedCommand & { readonly [verified]: true };

export interface VerifierDeps {
  readonly validity: Parameters<typeof judge>[1];
  readonly mode: SignatureMode;
  /** Null: signatures are not looked at, as in mode `off`. */
  readonly keys: Pick<TrustedSenders, "find" | "isRevoked" | "trouble"> | null;
  /** Null: no command must be signed to change anything. */
  readonly shareTime: { readonly trouble: CourierError | null } | null;
  readonly transport: Pick<Transport, "now">;
  readonly clock: Pick<Clock, "now">;
  readonly log: Log;
}

/** How far ahead of the share's clock a signed command may end. */
const MAX_AHEAD_MS = LIMITS.maxTtlMs + 5 * 60_000;

export class Verifier {
  readonly #deps: VerifierDeps;

  constructor(deps: VerifierDeps) {
    this.#deps = deps;
  }

  /**
   * Judges everything about a delivery except whether it is late.
   * @returns the command, or the reason for the refusal and where the response goes
   */
  verify(delivery: Delivery): VerifiedCommand | Refusal {
    const { validity } = this.#deps;
    const signer = this.#signerOf(delivery);
    if (signer instanceof CourierError) return refuse(judge(delivery, validity), signer);
    const judged = judge(delivery, validity, signer?.id);
    if ("error" in judged) return judged;
    const error = this.#objection(delivery, judged, signer);
    return error === null ? { ...judged, [verified]: true } : refuse(judged, error);
  }

  /** @returns the key that signed it; null when it counts as unsigned; or the reason why its signature is refused */
  #signerOf({ content }: Delivery): TrustedKey | CourierError | null {
    const { keys, mode } = this.#deps;
    const signature = keys === null || !("text" in content) ? null : findSignature(content.text);
    if (keys === null || signature === null) return null;
    if (keys.isRevoked(signature.keyId)) return this.#revokedKey(signature.keyId);
    const key = keys.find(signature.keyId);
    if (key !== undefined) return isSignedBy("command", signature, key) ? key : wrongSignature();
    return mode === "warn" ? null : (keys.trouble ?? this.#unknownKey(signature.keyId));
  }

  /** Why an accepted command may not run, if that is a matter of signatures. */
  #objection(delivery: Delivery, command: AcceptedCommand, signer: TrustedKey | null): CourierError | null {
    const { mode, shareTime, transport, log } = this.#deps;
    const clockTrouble = command.signed !== null && VERBS[command.verb].changing ? shareTime?.trouble : null;
    if (clockTrouble) return clockTrouble;
    if ((command.signed?.expiresAtMs ?? 0) > transport.now() + MAX_AHEAD_MS) return tooFarAhead();
    if (!mustBeSigned(mode === "warn" ? "changing" : mode, command.verb)) return null;
    const objection = command.signed === null || signer === null ? this.#unsigned() : this.#limit(command, signer);
    if (objection === null || mode !== "warn") return objection;
    const fields = { id: delivery.id, command: command.verb, reason: objection.message };
    log.warn(fields, "Runs a command that --require-signatures changing would refuse");
    return null;
  }

  /** Of the key that signed the command. */
  #limit({ verb }: AcceptedCommand, { id, verbs, endsAtMs }: TrustedKey): CourierError | null {
    const { validity, clock } = this.#deps;
    if (endsAtMs !== null && clock.now() >= endsAtMs)
      return forbidden(
        `The key ${id} is no longer valid on ${validity.agent}`,
        "not-after= in its line of the trusted keys",
      );
    if (verbs === null || verbs.has(verb)) return null;
    return forbidden(
      `The key ${id} may not use ${verb} on ${validity.agent}`,
      "verbs= in its line of the trusted keys",
    );
  }

  #unsigned(): CourierError {
    const { mode, validity } = this.#deps;
    const which = mode === "all" ? "commands" : "commands that change anything";
    const message = `${validity.agent} runs ${which} only if they are signed`;
    return new CourierError("forbidden", message, { hint: addKey(validity.agent) });
  }

  #revokedKey(id: string): CourierError {
    const { agent } = this.#deps.validity;
    return new CourierError("unauthenticated", `An operator revoked the key ${id} for ${agent}`, {
      hint: "If it is yours, make a new one and ask an operator to add it: gpuctl key",
    });
  }

  #unknownKey(id: string): CourierError {
    const { agent } = this.#deps.validity;
    return new CourierError("unauthenticated", `${agent} does not trust the key ${id}, which signed the command`, {
      hint: addKey(agent),
    });
  }
}

/**
 * When a command was sent at the latest, on the transport's clock. Its file alone does not show it: a user who can write to the
 * share can put a signed one there again.
 */
export function sentBeforeMs({ ttlMs, signed }: AcceptedCommand, { sentAtMs }: Delivery): number {
  return signed === null ? sentAtMs : Math.min(sentAtMs, signed.expiresAtMs - ttlMs);
}

/** A version 1 command whose file has a time in the future counts as sent when it was found. */
export function dated(found: Delivery, nowMs: number): Delivery {
  return found.inbox === "shared" ? { ...found, sentAtMs: Math.min(found.sentAtMs, nowMs) } : found;
}

function refuse(judged: AcceptedCommand | Refusal, error: CourierError): Refusal {
  if ("error" in judged) return { ...judged, error };
  const { answerTo, verb, model } = judged;
  return { error, answerTo, verb, model, accepted: judged };
}

function addKey(agent: string): string {
  return `Add the output of \`gpuctl key\` or \`gpu-server key\` to the trusted keys of ${agent}`;
}

function wrongSignature(): CourierError {
  return new CourierError("unauthenticated", "The signature is wrong: the command was changed after it was signed", {
    hint: "Send it again. If that does not help, another program changes the files on the share",
  });
}

function tooFarAhead(): CourierError {
  return new CourierError("invalid", "expires_at is more than 24 h ahead of the share's clock", {
    hint: "Check the clock of the sender and that of the share: gpuctl doctor",
  });
}

function forbidden(message: string, cause: string): CourierError {
  return new CourierError("forbidden", message, { hint: `It is limited by ${cause}` });
}
