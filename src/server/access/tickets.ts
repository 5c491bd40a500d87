// Tickets: they open event streams in place of a token, for a browser's EventSource, which can send no header.
import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import type { Credential } from "./authenticator.ts";
import { type Caller, limitsKeyOf } from "./caller.ts";

export interface TicketsDeps {
  readonly clock: Pick<Clock, "now" | "monotonic">;
}

interface Entry {
  /** As `limitsKeyOf()`. */
  readonly owner: string;
  /** The header with the token, or the session. It is looked at again whenever the ticket is used. */
  readonly authorization: Credential;
  readonly endMs: number;
}

export const TICKET_LIFETIME_MS = 10 * 60_000;
/** Of one caller: a further one ends the oldest. */
const MOST_OF_CALLER = 100;
const MOST = 10_000;
const TICKET_BYTES = 32;
/** Begins as an own token does, so that one that is sent as a token never goes to the platform's login. */
const PREFIX = "gpuc_ticket_";

/** They are only in memory, by their hashes: a restart ends them all. */
export class Tickets {
  readonly #clock: TicketsDeps["clock"];
  /** By hash, the oldest first. */
  readonly #entries = new Map<string, Entry>();
  /** The hashes of each caller's, the oldest first. */
  readonly #own = new Map<string, Set<string>>();

  constructor({ clock }: TicketsDeps) {
    this.#clock = clock;
  }

  /** How many are valid. */
  get size(): number {
    this.#removeEnded();
    return this.#entries.size;
  }

  /** @returns undefined when all callers together have too many */
  issue(
    caller: Pick<Caller, "name" | "way" | "accounts">,
    authorization: Credential,
  ): { ticket: string; expiresAtMs: number } | undefined {
    this.#removeEnded();
    const owner = limitsKeyOf(caller);
    const own = this.#own.get(owner) ?? new Set();
    const [oldest] = own;
    if (oldest !== undefined && own.size >= MOST_OF_CALLER) this.#end(oldest);
    if (this.#entries.size >= MOST) return undefined;
    const ticket = `${PREFIX}${randomBytes(TICKET_BYTES).toString("base64url")}`;
    const endMs = this.#clock.monotonic() + TICKET_LIFETIME_MS;
    // One text for all tickets of a token, which may be long.
    const texts = [...own].map((each) => this.#entries.get(each)?.authorization);
    const key = hash(ticket);
    this.#entries.set(key, {
      owner,
      authorization: texts.find((text) => text === authorization) ?? authorization,
      endMs,
    });
    this.#own.set(owner, own.add(key));
    return { ticket, expiresAtMs: this.#clock.now() + TICKET_LIFETIME_MS };
  }

  /** The Authorization header or the session that a ticket stands for, or why it stands for none. */
  authorizationOf(ticket: string): Credential | CourierError {
    this.#removeEnded();
    const entry = this.#entries.get(hash(ticket));
    if (entry !== undefined) return entry.authorization;
    return new CourierError("unauthenticated", "The ticket is invalid or has expired", {
      hint: "Get another one: POST /v1/tickets, with a token. It is valid for 10 minutes, and until gpu-server restarts",
    });
  }

  /** All live equally long: those at the front end first. */
  #removeEnded(): void {
    for (const [key, { endMs }] of this.#entries) {
      if (endMs > this.#clock.monotonic()) return;
      this.#end(key);
    }
  }

  #end(key: string): void {
    const owner = this.#entries.get(key)?.owner ?? "";
    this.#entries.delete(key);
    const own = this.#own.get(owner);
    own?.delete(key);
    if (own?.size === 0) this.#own.delete(owner);
  }
}

function hash(ticket: string): string {
  return createHash("sha256").update(ticket).digest("hex");
}
