// The doctor's check of the ledger, which changes nothing.
import { Database } from "bun:sqlite";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { about, type Check } from "../../base/check.ts";

const RESTART = "Check the models of this machine, then restart the agent: it creates a new ledger";

/** One check at most: before the first start there is no ledger. */
export function examineLedger(stateDir: string): Check[] {
  const ledger = join(stateDir, "ledger.db");
  if (existsSync(ledger)) return [checkLedger(ledger)];
  try {
    const aside = readdirSync(stateDir).find((name) => name.startsWith("ledger.db.corrupt-"));
    return aside === undefined ? [] : [checkLedgerSetAside(join(stateDir, aside))];
  } catch {
    // The folder is missing, or this user cannot read it: the check of the state directory reports that.
    return [];
  }
}

/** @param path of the ledger's file, which exists */
function checkLedger(path: string): Check {
  const check = about("ledger");
  try {
    using db = new Database(path, { readonly: true });
    const found = db.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get()?.quick_check;
    if (found === "ok") return check.ok(`${path} is intact, and no agent is using it`);
    return check.failed(`${path} is corrupt: ${found}`, RESTART);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code.startsWith("SQLITE_BUSY")) return check.ok(`${path} is in use by a running agent`);
    const isCorrupt = /^SQLITE_(?:CORRUPT|NOTADB)/.test(code);
    if (isCorrupt) return check.failed(`${path} is corrupt: ${code}`, RESTART);
    return check.failed(`${path} cannot be read: ${code || String(error)}`, "Run doctor as the agent's user");
  }
}

/** @param aside the new name of a ledger that an agent found to be corrupt */
function checkLedgerSetAside(aside: string): Check {
  return about("ledger").failed(`It was corrupt and was set aside as ${aside}: only reading verbs are served`, RESTART);
}
