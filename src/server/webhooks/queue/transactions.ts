// Transactions on the server's store, for the tables of webhooks.
import type { Database } from "bun:sqlite";

export function inTransaction<Result>(database: Database, work: () => Result): Result {
  return database.transaction(work).immediate();
}

/**
 * A commit that waits for the disk blocks all requests for some ms. Without that, a crash of this process loses nothing, and a
 * power failure the last attempts: what they sent is sent again, under the same id.
 */
export function quickly<Result>(database: Database, work: () => Result): Result {
  database.run("PRAGMA synchronous = NORMAL");
  try {
    return inTransaction(database, work);
  } finally {
    database.run("PRAGMA synchronous = FULL");
  }
}
