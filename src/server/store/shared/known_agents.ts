// The keys of agents that servers share. Each server reads its copy, and what it learns waits there until NATS has it.
//
// Of two servers that see a new agent, the one whose record is there first names its key. A decision replaces what is there,
// unless a later one is. How far an agent's documents have come is each server's own: it changes with every document.
import type { Database } from "bun:sqlite";
import { z } from "zod";
import type { Clock } from "../../../base/clock.ts";
import { AgentName } from "../../../protocol.ts";
import { isOlder, KEY_STATUSES, type KnownAgent } from "../../../trust/agents/known_agent.ts";
import type { Changes, KnownAgentsStore } from "../../../trust/agents/store.ts";
import { StoredKnownAgents } from "../known_agents.ts";
import type { RecordChange, RecordKind, Records } from "./records.ts";

export interface SharedKnownAgentsDeps {
  readonly database: Database;
  readonly clock: Pick<Clock, "now" | "sleep">;
}

/** The kind of their records. */
export const KNOWN_AGENT = "known_agent";

const Stored = z.object({
  key: z.string().max(200).nullable(),
  status: z.enum(KEY_STATUSES),
  boot: z.int().nonnegative(),
  sequence: z.int().nonnegative(),
  /** 0: nobody decided, it was the first one that was seen. */
  decided_at_ms: z.int().nonnegative(),
});
type Stored = z.infer<typeof Stored>;

type Waiting = "learned" | "decided" | "displaced";

interface Row {
  readonly agent: string;
  readonly decided_ms: number;
  readonly waiting: Waiting | null;
}

/** Beside the keys: when somebody decided, and what NATS does not have yet. */
const TABLES = `
  CREATE TABLE IF NOT EXISTS shared_known_agents (
    agent TEXT PRIMARY KEY, decided_ms INTEGER NOT NULL, waiting TEXT
  ) STRICT;
  CREATE INDEX IF NOT EXISTS shared_known_agents_waiting ON shared_known_agents (agent) WHERE waiting IS NOT NULL;`;
/** Keys that this copy had before servers shared them. */
const OFFER = `
  INSERT INTO shared_known_agents (agent, decided_ms, waiting)
  SELECT agent, status <> 'first use', iif(status = 'first use', 'learned', 'decided') FROM known_agents
  WHERE agent NOT IN (SELECT agent FROM shared_known_agents)`;
const NOTE = {
  learned: `INSERT INTO shared_known_agents VALUES (?1, 0, 'learned')
    ON CONFLICT DO UPDATE SET waiting = 'learned' WHERE waiting = 'displaced'`,
  decided: `INSERT INTO shared_known_agents VALUES (?1, ?2, 'decided')
    ON CONFLICT DO UPDATE SET waiting = 'decided', decided_ms = MAX(excluded.decided_ms, decided_ms + 1)`,
  displaced: `INSERT INTO shared_known_agents VALUES (?1, 0, 'displaced')
    ON CONFLICT DO UPDATE SET waiting = 'displaced' WHERE decided_ms = 0`,
};
const AT_ONCE = 100;
const EVERY_MS = 1_000;

export class SharedKnownAgents implements KnownAgentsStore {
  readonly #deps: SharedKnownAgentsDeps;
  readonly #copy: StoredKnownAgents;
  #version = 0;
  #copyVersion = Number.NaN;
  /** Something was written here. What a command writes is found within a second. */
  #woken = new AbortController();

  constructor(deps: SharedKnownAgentsDeps) {
    this.#deps = deps;
    this.#copy = new StoredKnownAgents(deps.database);
    deps.database.run(TABLES);
    deps.database.run(OFFER);
  }

  /** Another number after each change that another program or another server made. */
  version(): number {
    const copyVersion = this.#copy.version();
    if (copyVersion !== this.#copyVersion) this.#version += 1;
    this.#copyVersion = copyVersion;
    return this.#version;
  }

  read(): ReadonlyMap<string, KnownAgent> {
    return this.#copy.read();
  }

  /** In the copy when it returns, and on NATS as soon as `share()` can. */
  write(changes: Changes): void {
    const { database, clock } = this.#deps;
    const nowMs = Math.round(clock.now());
    const all = database.transaction(() => {
      this.#copy.write(changes);
      for (const agent of changes.displaced) database.query(NOTE.displaced).run(agent);
      for (const agent of changes.learned.keys()) database.query(NOTE.learned).run(agent);
      for (const agent of changes.decided.keys()) database.query(NOTE.decided).run(agent, nowMs);
    });
    all.immediate();
    this.#woken.abort();
  }

  /** Shares what waits, now and then, until `stop` aborts. @throws CourierError as `share()` */
  async run(records: Pick<Records, "change">, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      this.#woken = new AbortController();
      await this.share(records);
      await this.#deps.clock.sleep(EVERY_MS, AbortSignal.any([stop, this.#woken.signal]));
    }
  }

  /** Takes to NATS what waits. @throws CourierError `unavailable` while NATS is away: the rest waits on */
  async share(records: Pick<Records, "change">): Promise<void> {
    for (;;) {
      const rows = this.#waiting();
      await Promise.all(
        rows.map(async ({ agent, waiting, decided_ms }) => {
          await records.change(KNOWN_AGENT, agent, (found) => this.#changeOf(agent, found));
          this.#deps.database
            .query("UPDATE shared_known_agents SET waiting = NULL WHERE agent = ? AND waiting = ? AND decided_ms = ?")
            .run(agent, waiting, decided_ms);
        }),
      );
      if (rows.length < AT_ONCE) return;
    }
  }

  /** The copy's place for their records. */
  get records(): RecordKind {
    return {
      put: (id, value) => this.#take(AgentName.parse(id), Stored.parse(value)),
      remove: (id, why) => this.#remove(AgentName.parse(id), why),
    };
  }

  #changeOf(agent: string, found: string | undefined): RecordChange {
    const [row, known] = [this.#row(agent), this.#copy.find(agent)];
    const theirs = found === undefined ? undefined : storedIn(found);
    if (row?.waiting === "displaced") return theirs?.status === "first use" ? "remove" : "keep";
    if (row === null || row.waiting === null || known === null) return "keep";
    // The first key that was seen, or the later decision.
    if (row.waiting === "learned" && found !== undefined) return "keep";
    if (theirs !== undefined && theirs.decided_at_ms >= row.decided_ms) return "keep";
    return { value: { ...known, decided_at_ms: row.decided_ms } satisfies Stored };
  }

  #take(agent: string, { decided_at_ms: decidedMs, ...record }: Stored): void {
    const [row, before] = [this.#row(agent), this.#copy.find(agent)];
    // A later decision of this server is on its way.
    if (row?.waiting === "decided" && row.decided_ms > decidedMs) return;
    this.#deps.database
      .query("INSERT OR REPLACE INTO shared_known_agents (agent, decided_ms, waiting) VALUES (?, ?, NULL)")
      .run(agent, decidedMs);
    const known = withOwnPosition(record, before);
    if (isSame(known, before)) return;
    this.#copy.put(agent, known);
    this.#version += 1;
  }

  #remove(agent: string, why: "removed" | "missing"): void {
    const [row, known] = [this.#row(agent), this.#copy.find(agent)];
    if (row === null || known === null) return;
    if (why === "missing") {
      // A key that everybody forgot would be anybody's again: the copies have it still.
      const waiting: Waiting = known.status === "first use" ? "learned" : "decided";
      this.#deps.database.query("UPDATE shared_known_agents SET waiting = ? WHERE agent = ?").run(waiting, agent);
    } else if (known.status === "first use") {
      this.#deps.database.query("DELETE FROM shared_known_agents WHERE agent = ?").run(agent);
      this.#copy.remove(agent);
      this.#version += 1;
    }
  }

  #row(agent: string): Row | null {
    return this.#deps.database
      .query<Row, [string]>("SELECT agent, decided_ms, waiting FROM shared_known_agents WHERE agent = ?")
      .get(agent);
  }

  #waiting(): readonly Row[] {
    return this.#deps.database
      .query<Row, [number]>(
        "SELECT agent, decided_ms, waiting FROM shared_known_agents WHERE waiting IS NOT NULL ORDER BY agent LIMIT ?",
      )
      .all(AT_ONCE);
  }
}

function storedIn(text: string): Stored | undefined {
  try {
    return Stored.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Only a decision that begins at 0 takes the position of the same key back: a box was restored from an old copy. */
function withOwnPosition(record: KnownAgent, before: KnownAgent | null): KnownAgent {
  const isReset = record.boot === 0 && record.sequence === 0 && record.status !== "first use";
  if (before === null || before.key !== record.key || isReset || isOlder(before, record)) return record;
  return { ...record, boot: before.boot, sequence: before.sequence };
}

function isSame(one: KnownAgent, other: KnownAgent | null): boolean {
  return (
    one.key === other?.key && one.status === other.status && one.boot === other.boot && one.sequence === other.sequence
  );
}
