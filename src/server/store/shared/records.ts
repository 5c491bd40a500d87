// The records that servers share in a bucket on NATS: a write goes there, and comes back into the copy of each server.
import type { Database } from "bun:sqlite";
import { z } from "zod";
import { type Clock, within } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Bucket } from "../../../transport/nats/calls/bucket.ts";
import type { KeyedEntry, Reading, Streams } from "../../../transport/nats/calls/streams.ts";
import { Copying } from "./logs/copying.ts";

/** Where records of one kind are in the copy. */
export interface RecordKind {
  /** @throws ZodError for a value of another kind */
  put(id: string, value: unknown): void;
  /** @param why `missing`: it was removed long ago, or another bucket has taken the place of the one before */
  remove(id: string, why: "removed" | "missing"): void;
}

/** A record gets another value, is removed, or stays as it is. */
export type RecordChange = { readonly value: object } | "remove" | "keep";

export interface RecordsDeps {
  readonly bucket: Pick<Bucket, "get" | "put" | "remove">;
  readonly streams: Pick<Streams, "make" | "facts" | "follow">;
  readonly replicas: number;
  readonly database: Database;
  /** By the first part of their keys. */
  readonly kinds: Readonly<Record<string, RecordKind>>;
  readonly clock: Pick<Clock, "sleep">;
  readonly log: Log;
}

/** Which entry of the bucket each record of the copy is from, and which bucket it is. */
const TABLES = `
  CREATE TABLE IF NOT EXISTS shared_records (key TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS shared_bucket (made_at TEXT NOT NULL) STRICT;`;
/** Far longer than a write takes to come back. */
const APPLIED_MS = 5_000;
/** Another writer may be faster: then look again. */
const ATTEMPTS = 3;

export class Records {
  readonly #deps: RecordsDeps;
  #arrived: KeyedEntry[] = [];
  /** The copy has what the bucket had up to this entry. */
  #applied = 0;
  #waiting = Promise.withResolvers<void>();

  constructor(deps: RecordsDeps) {
    this.#deps = deps;
    deps.database.run(TABLES);
  }

  /** Durable on NATS, and in this server's copy, when it resolves. @throws CourierError `unavailable` while NATS is away */
  async put(kind: string, id: string, value: unknown): Promise<void> {
    await this.#written((await this.#deps.bucket.put(keyOf(kind, id), JSON.stringify(value))) ?? 0);
  }

  /** As `put()`. @param ttlMs after which NATS removes it @returns false when there is a record under this id */
  async add(kind: string, id: string, value: object, ttlMs?: number): Promise<boolean> {
    return await this.change(kind, id, (found) => (found === undefined ? { value } : "keep"), ttlMs);
  }

  /** As `put()`. @returns false when there is no record under this id */
  async remove(kind: string, id: string): Promise<boolean> {
    return await this.change(kind, id, (found) => (found === undefined ? "keep" : "remove"));
  }

  /**
   * As `put()`, but only over the record that `decide` has seen: it is asked again when another writer was faster.
   * @param decide gets the text of the record; undefined: no such record
   * @returns whether it changed something
   */
  async change(
    kind: string,
    id: string,
    decide: (found: string | undefined) => RecordChange,
    ttlMs?: number,
  ): Promise<boolean> {
    const { bucket, streams } = this.#deps;
    const key = keyOf(kind, id);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = await bucket.get(key);
      const data = found?.data ?? undefined;
      const change = decide(data === undefined ? undefined : new TextDecoder().decode(data));
      if (change === "keep") return false;
      if (change === "remove") {
        if (!(await bucket.remove(key, found?.sequence ?? 0))) continue;
        await this.#written((await streams.facts("server")).last);
      } else {
        const options = { ifSequence: found?.sequence ?? 0, ...(ttlMs === undefined ? {} : { ttlMs }) };
        const sequence = await bucket.put(key, JSON.stringify(change.value), options);
        if (sequence === null) continue;
        await this.#written(sequence);
      }
      return true;
    }
    throw new CourierError("unavailable", `Cannot change ${kind} on NATS: others are changing it too`, {
      hint: "Try again",
    });
  }

  /** Makes the bucket, and follows it. `caughtUp` resolves when the copy has what is there. */
  async follow(): Promise<Reading> {
    const { streams, replicas, log } = this.#deps;
    await streams.make(replicas, ["server"]);
    const facts = await streams.facts("server");
    this.#arrived = [];
    this.#useBucket(facts.madeAt);
    const present = new Set<string>();
    const copying = new Copying(log);
    const reading = await streams.follow("server", ">", (entry) => {
      if (copying.isOver) return;
      if (entry.data !== null) present.add(entry.key);
      this.#arrived.push(entry);
      // One commit takes all that arrive together.
      if (this.#arrived.length === 1) setImmediate(() => copying.run(() => this.#take()));
    });
    const caughtUp = reading.caughtUp.then(() =>
      copying.run(() => {
        this.#take();
        this.#forgetMissing(present, facts.last);
        this.#apply(facts.last);
      }),
    );
    caughtUp.catch((error: unknown) => log.debug({ error }, "The records on NATS were not read to their end"));
    return copying.following({ ...reading, caughtUp });
  }

  /** The copy of another bucket means nothing for this one. */
  #useBucket(madeAt: string): void {
    const { database } = this.#deps;
    const before = database.query<{ made_at: string }, []>("SELECT made_at FROM shared_bucket").get()?.made_at;
    if (before === madeAt) return;
    database.transaction(() => {
      this.#forgetMissing(new Set(), Number.MAX_SAFE_INTEGER);
      database.run("DELETE FROM shared_bucket");
      database.query("INSERT INTO shared_bucket (made_at) VALUES (?)").run(madeAt);
    })();
    this.#applied = 0;
  }

  #take(): void {
    const entries = this.#arrived;
    this.#arrived = [];
    if (entries.length === 0) return;
    this.#deps.database.transaction(() => {
      for (const entry of entries) this.#takeOne(entry);
    })();
    this.#apply(entries.at(-1)?.sequence ?? 0);
  }

  /** Another process on this copy may have been faster. */
  #takeOne({ key, sequence, data }: KeyedEntry): void {
    const { database, log } = this.#deps;
    const [kind, id] = this.#kindOf(key);
    // Of a later release, which takes it as new, or no record at all.
    if (kind === undefined) return;
    const known = database
      .query<{ sequence: number }, [string]>("SELECT sequence FROM shared_records WHERE key = ?")
      .get(key);
    if (known !== null && known.sequence >= sequence) return;
    try {
      if (data === null) return this.#forget(key, "removed");
      kind.put(id, JSON.parse(new TextDecoder().decode(data)));
      database.query("INSERT OR REPLACE INTO shared_records VALUES (?, ?)").run(key, sequence);
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof z.ZodError)) throw error;
      log.warn({ key }, "Skipped an invalid record on NATS");
    }
  }

  /** @param last what was put later is not missing */
  #forgetMissing(present: ReadonlySet<string>, last: number): void {
    const { database } = this.#deps;
    const rows = database
      .query<{ key: string }, [number]>("SELECT key FROM shared_records WHERE sequence <= ?")
      .all(last);
    database.transaction(() => {
      for (const { key } of rows) if (!present.has(key)) this.#forget(key, "missing");
    })();
  }

  #forget(key: string, why: "removed" | "missing"): void {
    const [kind, id] = this.#kindOf(key);
    kind?.remove(id, why);
    this.#deps.database.query("DELETE FROM shared_records WHERE key = ?").run(key);
  }

  /** Undefined for a kind of a later release. */
  #kindOf(key: string): readonly [RecordKind | undefined, string] {
    const dot = key.indexOf(".");
    return [this.#deps.kinds[key.slice(0, dot)], key.slice(dot + 1)];
  }

  #apply(sequence: number): void {
    this.#applied = Math.max(this.#applied, sequence);
    this.#waiting.resolve();
    this.#waiting = Promise.withResolvers();
  }

  /** @throws CourierError `unavailable` when the write does not come back: it may have taken effect */
  async #written(sequence: number): Promise<void> {
    const { clock } = this.#deps;
    const applied = async (): Promise<boolean> => {
      while (this.#applied < sequence) await this.#waiting.promise;
      return true;
    };
    if (await within(clock, APPLIED_MS, applied(), false)) return;
    throw new CourierError("unavailable", "The change is stored on NATS, but has not come back to this server", {
      hint: "Look whether it took effect before sending it again",
    });
  }
}

function keyOf(kind: string, id: string): string {
  return `${kind}.${id}`;
}
