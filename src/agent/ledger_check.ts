// Whether a ledger can be used, found out without changing it. Imports the form of a check; bun:sqlite.
import { Database } from "bun:sqlite";
import { about, type Check } from "../check.ts";

/** Reads it through. @param path of the ledger's file, which is there */
export function checkLedger(path: string): Check {
  const check = about("ledger");
  try {
    using db = new Database(path, { readonly: true });
    const found = db.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get()?.quick_check;
    if (found === "ok") return check.ok(`${path} is whole, and no agent uses it just now`);
    return check.failed(
      `${path} is damaged: ${found}`,
      "Stop the agent, keep the file, and move it away: a new one is made",
    );
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code.startsWith("SQLITE_BUSY")) return check.ok(`${path} is in use by an agent that runs`);
    return check.failed(
      `${path} cannot be read: ${code === "" ? String(error) : code}`,
      "Run doctor as the agent's user; damaged: stop the agent and move the file away",
    );
  }
}
