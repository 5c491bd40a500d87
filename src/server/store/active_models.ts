// Which model the platform uses for what, as its page sets it. Imports bun:sqlite's types and zod.
import type { Database } from "bun:sqlite";
import { z } from "zod";

export const ModelType = z.enum(["vision", "text", "scoring", "science"]);
export type ModelType = z.infer<typeof ModelType>;

interface Row {
  readonly type: ModelType;
  readonly model: string;
}

export class ActiveModels {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The chosen ones; a type for which none was chosen is absent. */
  read(): Partial<Record<ModelType, string>> {
    const rows = this.#database.query<Row, []>("SELECT type, model FROM active_models ORDER BY type").all();
    return Object.fromEntries(rows.map(({ type, model }) => [type, model]));
  }

  set(type: ModelType, model: string): void {
    this.#database.query("INSERT OR REPLACE INTO active_models (type, model) VALUES (?, ?)").run(type, model);
  }
}
