// Where gpu-server keeps what it must not forget: in SQLite alone, or in NATS with a copy in SQLite.
import type { Database } from "bun:sqlite";
import { join } from "node:path";
import { type Clock, systemClock } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import { type Log, silentLog } from "../../../base/log.ts";
import { type NatsOptions, parseNatsAddress } from "../../../transport/nats/options.ts";
import { type SessionStore, StoredSessions } from "../sessions.ts";
import { COPY_FOLDER, openStore } from "../store.ts";
import { type TokenStore, Tokens } from "../tokens.ts";
import { natsOptionsOfStore } from "./flags.ts";
import { SharedStore } from "./shared_store.ts";

/** Where a server keeps it, as its options say. */
export interface StorePlace {
  readonly kind: "sqlite" | "nats";
  readonly stateDir: string;
  /** Of the transports. */
  readonly addresses: readonly string[];
  readonly nats: NatsOptions;
  /** Of the store, which should be in another account; undefined: none of its own. */
  readonly storeCreds?: string | undefined;
}

interface Parts {
  /** At the addresses of the place. */
  readonly transports: readonly Pick<Clock, "now">[];
  readonly log: Log;
}

interface OpenedStore {
  readonly database: Database;
  /** Null: this server is alone. */
  readonly shared: SharedStore | null;
  readonly close: () => Promise<void>;
}

/** A copy is no store of its own: it is in a folder beside, and a server that goes back to SQLite finds it as it left it. */
export function storeDir({ kind, stateDir }: StorePlace): string {
  return kind === "sqlite" ? stateDir : join(stateDir, COPY_FOLDER);
}

/**
 * @throws CourierError `invalid` without a transport on NATS, or credentials of its own; as `openStore()` and `SharedStore.open()`
 */
export async function openServerStore(place: StorePlace, parts: Parts): Promise<OpenedStore> {
  return await opened(place, parts, async (shared) => await shared.open());
}

interface CommandStore {
  readonly database: Database;
  readonly tokens: TokenStore;
  readonly sessions: SessionStore;
  /** Takes to the other servers what was decided about keys of agents. @throws CourierError `unavailable` */
  readonly shareKnownAgents: () => Promise<void>;
}

/**
 * Opens tokens, sessions and known keys for a command, also while the server runs.
 * @returns what `use` does
 * @throws CourierError as `openServerStore()`; `unavailable` while NATS is away
 */
export async function withStore<Result>(
  place: StorePlace,
  use: (store: CommandStore) => Result | Promise<Result>,
): Promise<Result> {
  const parts = { transports: place.addresses.map(() => systemClock), log: silentLog };
  const { database, shared, close } = await opened(place, parts, async (store) => await store.openRecords());
  try {
    const tokens = shared?.tokens ?? new Tokens(database, systemClock);
    const sessions = shared?.sessions ?? new StoredSessions(database);
    return await use({ database, tokens, sessions, shareKnownAgents: async () => await shared?.shareKnownAgents() });
  } finally {
    await close();
  }
}

/**
 * `gpu-server store copy --from sqlite --to nats`: servers with `--store nats` then go on where this one stopped.
 * @throws CourierError `conflict` when NATS already has the log of others
 */
export async function copyStore(place: StorePlace, print: (text: string) => void): Promise<void> {
  const source = openStore(storeDir({ ...place, kind: "sqlite" }));
  const parts = { transports: place.addresses.map(() => systemClock), log: silentLog };
  try {
    const { shared, close } = await opened({ ...place, kind: "nats" }, parts, async () => undefined);
    try {
      const copied = await shared?.copyFrom(source);
      const { tokens, models, ends, lastEvent } = copied ?? { tokens: 0, models: 0, ends: 0, lastEvent: "" };
      print(
        `Copied ${tokens} tokens, ${models} active models and ${ends} ends of jobs; event ids go on after ${lastEvent}\n`,
      );
    } finally {
      await close();
    }
  } finally {
    source.close();
  }
}

async function opened(
  place: StorePlace,
  { transports, log }: Parts,
  open: (shared: SharedStore) => Promise<void>,
): Promise<OpenedStore> {
  const index = natsIndexOf(place);
  const address = index === null ? null : parseNatsAddress(place.addresses[index] ?? "");
  const options = index === null ? {} : natsOptionsOfStore(place.nats, place.storeCreds);
  const database = openStore(storeDir(place));
  if (index === null || address === null) return { database, shared: null, close: async () => database.close() };
  const clock = { ...systemClock, now: () => (transports[index] ?? systemClock).now() };
  const shared = new SharedStore({ address, options, database, clock, log });
  const close = async (): Promise<void> => {
    await shared.close();
    database.close();
  };
  try {
    await open(shared);
    return { database, shared, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Which of the addresses it is; null for a store that needs none. */
function natsIndexOf({ kind, addresses }: StorePlace): number | null {
  if (kind === "sqlite") return null;
  const index = addresses.findIndex((each) => /^(?:nats|tls):/.test(each));
  if (index >= 0) return index;
  throw new CourierError("invalid", "--store nats needs a transport on NATS", {
    hint: "Add --transport nats://host:4222, or use --store sqlite",
  });
}
