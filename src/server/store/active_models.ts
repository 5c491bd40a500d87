// The model that the platform uses for each purpose, as its page sets it.
import type { Database } from "bun:sqlite";
import { z } from "zod";

export const ModelType = z.enum(["vision", "text", "scoring", "science"]);
export type ModelType = z.infer<typeof ModelType>;

interface Row {
  readonly type: ModelType;
  readonly model: string;
}

/** What the server uses of them, wherever they are. */
export interface ActiveModelStore extends Pick<ActiveModels, "read"> {
  set(type: ModelType, model: string): void | Promise<void>;
}

export class ActiveModels {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The active model of each type; a type without one is missing. */
  read(): Partial<Record<ModelType, string>> {
    const rows = this.#database.query<Row, []>("SELECT type, model FROM active_models ORDER BY type").all();
    return Object.fromEntries(rows.map(({ type, model }) => [type, model]));
  }

  set(type: ModelType, model: string): void {
    this.#database.query("INSERT OR REPLACE INTO active_models (type, model) VALUES (?, ?)").run(type, model);
  }

  remove(type: ModelType): void {
    this.#database.query("DELETE FROM active_models WHERE type = ?").run(type);
  }
}
