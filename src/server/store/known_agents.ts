// The keys of the agents, and how far their documents have come, in the server's database.
import type { Database } from "bun:sqlite";
import type { KnownAgent } from "../../trust/agents/known_agent.ts";
import { type Changes, isEmpty, type KnownAgentsStore } from "../../trust/agents/store.ts";

interface Row extends KnownAgent {
  readonly agent: string;
}

/** The previous release ignores the table, and `gpu-server trust` changes it while the server runs. */
const TABLE = `CREATE TABLE IF NOT EXISTS known_agents (
  agent TEXT PRIMARY KEY, key TEXT, status TEXT NOT NULL, boot INTEGER NOT NULL, sequence INTEGER NOT NULL
) STRICT`;
const INTO = "INTO known_agents (agent, key, status, boot, sequence) VALUES (?, ?, ?, ?, ?)";

export class StoredKnownAgents implements KnownAgentsStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    database.run(TABLE);
  }

  /** Another number after each change of the database by another connection. */
  version(): number {
    return this.#database.query<{ data_version: number }, []>("PRAGMA data_version").get()?.data_version ?? 0;
  }

  read(): ReadonlyMap<string, KnownAgent> {
    const rows = this.#database.query<Row, []>("SELECT agent, key, status, boot, sequence FROM known_agents").all();
    return new Map(rows.map(({ agent, ...known }) => [agent, known]));
  }

  find(agent: string): KnownAgent | null {
    return this.#database
      .query<KnownAgent, [string]>("SELECT key, status, boot, sequence FROM known_agents WHERE agent = ?")
      .get(agent);
  }

  /** As another server has it. */
  put(agent: string, { key, status, boot, sequence }: KnownAgent): void {
    this.#database.query(`INSERT OR REPLACE ${INTO}`).run(agent, key, status, boot, sequence);
  }

  remove(agent: string): void {
    this.#database.query("DELETE FROM known_agents WHERE agent = ?").run(agent);
  }

  /** All or nothing. A commit waits for the disk, so one is enough for thousands. */
  write(changes: Changes): void {
    if (isEmpty(changes)) return;
    const { displaced, learned, decided, seen } = changes;
    const forget = this.#database.query("DELETE FROM known_agents WHERE agent = ? AND status = 'first use'");
    const learn = this.#database.query(`INSERT OR IGNORE ${INTO}`);
    const decide = this.#database.query(`INSERT OR REPLACE ${INTO}`);
    const move = this.#database.query(
      "UPDATE known_agents SET boot = ?1, sequence = ?2 WHERE agent = ?3 AND key = ?4 AND (boot, sequence) < (?1, ?2)",
    );
    const writeAll = this.#database.transaction(() => {
      for (const agent of displaced) forget.run(agent);
      for (const [agent, { key, status, boot, sequence }] of learned) learn.run(agent, key, status, boot, sequence);
      for (const [agent, { key, status, boot, sequence }] of decided) decide.run(agent, key, status, boot, sequence);
      for (const [agent, { key, boot, sequence }] of seen) move.run(boot, sequence, agent, key);
    });
    writeAll.immediate();
  }
}
