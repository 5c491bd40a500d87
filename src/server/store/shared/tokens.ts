// The tokens that servers share: added and revoked on NATS, and read from the copy.
import type { Database } from "bun:sqlite";
import { z } from "zod";
import { type Clock, isoTime } from "../../../base/clock.ts";
import { AgentName, Verb } from "../../../protocol.ts";
import type { Creator } from "../added_tokens.ts";
import { nameTaken, newToken, unknownToken } from "../new_token.ts";
import type { TokenNotes } from "../token_notes.ts";
import { Role, type TokenEntry, type TokenLimits, type TokenRecord, type TokenStore, type Tokens } from "../tokens.ts";
import type { RecordKind, Records } from "./records.ts";

export interface SharedTokensDeps {
  readonly records: Pick<Records, "add" | "remove">;
  /** The copy. */
  readonly tokens: Tokens;
  readonly clock: Pick<Clock, "now">;
}

/** The kind of their records. */
export const TOKEN = "token";

/** As it is on NATS: of the token only its hash. */
const Stored = z.object({
  name: z.string().max(64),
  role: Role,
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  created_at: z.string().max(64),
  expires_at_ms: z.int().nullable(),
  agents: z.array(AgentName).nonempty().nullable(),
  verbs: z.array(Verb).nonempty().nullable(),
  charged: z.object({ limits: z.string().max(64).nullable(), audit: z.string().max(64) }).nullable(),
  created_by: z.string().max(64).nullable(),
});

export class SharedTokens implements TokenStore {
  readonly #deps: SharedTokensDeps;

  constructor(deps: SharedTokensDeps) {
    this.#deps = deps;
  }

  /** As `Tokens.add()`. @throws CourierError also `unavailable` while NATS is away */
  async add(name: string, role: Role, limits?: TokenLimits, creator: Creator | null = null): Promise<string> {
    const { records, tokens, clock } = this.#deps;
    const { token, hash } = newToken(name);
    const charged = creator === null ? null : tokens.charge(creator);
    const given = limits ?? { expiresAtMs: null, agents: null, verbs: null };
    const record = { name, role, hash, ...given, created_at: isoTime(clock.now()), charged };
    if (await records.add(TOKEN, idOf(name), stored(record, creator?.name ?? null))) return token;
    throw nameTaken(name);
  }

  /** As `Tokens.revoke()`. @throws CourierError also `unavailable` while NATS is away */
  async revoke(name: string): Promise<void> {
    if (!(await this.#deps.records.remove(TOKEN, idOf(name)))) throw unknownToken(name);
  }

  /** Adds the tokens of another store, as they are. Those with names that are there already stay. @returns how many it has */
  async copy(from: Tokens, notes: TokenNotes): Promise<number> {
    const all = from.records();
    for (const record of all)
      await this.#deps.records.add(TOKEN, idOf(record.name), stored(record, notes.of(record.hash).created_by));
    return all.length;
  }

  list(): readonly TokenEntry[] {
    return this.#deps.tokens.list();
  }

  find(token: string): TokenEntry | undefined {
    return this.#deps.tokens.find(token);
  }

  findHash(hash: Uint8Array): TokenEntry | undefined {
    return this.#deps.tokens.findHash(hash);
  }

  hashNamed(name: string): Uint8Array {
    return this.#deps.tokens.hashNamed(name);
  }
}

/** The copy's place for them. */
export function tokenRecords(database: Database, tokens: Tokens): RecordKind {
  // Who added it is a note, whose table is made at the first token.
  const note = (hash: Uint8Array, createdBy: string): void => {
    database.run(
      "CREATE TABLE IF NOT EXISTS token_notes (hash BLOB PRIMARY KEY, created_by TEXT, last_used_ms INTEGER) STRICT",
    );
    database
      .query(
        "INSERT INTO token_notes (hash, created_by) VALUES (?, ?) ON CONFLICT DO UPDATE SET created_by = excluded.created_by",
      )
      .run(hash, createdBy);
  };
  return {
    put: (id, value) => {
      const { hash: hex, expires_at_ms: expiresAtMs, created_by, ...rest } = Stored.parse(value);
      if (idOf(rest.name) !== id) return;
      const hash = Uint8Array.fromHex(hex);
      tokens.put({ ...rest, hash, expiresAtMs });
      if (created_by !== null) note(hash, created_by);
    },
    remove: (id) => void tokens.remove(nameOf(id)),
  };
}

/** A name may have dots, which separate the parts of a key. */
function idOf(name: string): string {
  return Buffer.from(name).toString("base64url");
}

function nameOf(id: string): string {
  return Buffer.from(id, "base64url").toString();
}

function stored(record: TokenRecord, createdBy: string | null): z.infer<typeof Stored> {
  const { name, role, hash, created_at, expiresAtMs, charged } = record;
  const [first, ...agents] = record.agents ?? [];
  const [verb, ...verbs] = record.verbs ?? [];
  return {
    name,
    role,
    hash: hash.toHex(),
    created_at,
    expires_at_ms: expiresAtMs,
    agents: first === undefined ? null : [first, ...agents],
    verbs: verb === undefined ? null : [verb, ...verbs],
    charged,
    created_by: createdBy,
  };
}
