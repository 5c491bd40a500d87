// The server's database: one SQLite file in the state directory.
import { Database } from "bun:sqlite";
import { chmodSync, chownSync, mkdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { CourierError, systemCode } from "../../base/errors.ts";

/** Of a state directory: has the copy of a store that is elsewhere. */
export const COPY_FOLDER = "nats";

/** The changes that lead to each version of the schema; the first makes version 1. */
const STEPS = [
  `CREATE TABLE tokens (
     name TEXT PRIMARY KEY, role TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, created_at TEXT NOT NULL
   ) STRICT;
   CREATE TABLE active_models (type TEXT PRIMARY KEY, model TEXT NOT NULL) STRICT;
   CREATE TABLE refused_jobs (id TEXT PRIMARY KEY, ended_at_ms INTEGER NOT NULL, job TEXT NOT NULL) STRICT;`,
  `CREATE TABLE ended_jobs (
     number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, ended_ms INTEGER NOT NULL, job TEXT NOT NULL
   ) STRICT;
   CREATE TABLE ended_jobs_log (id TEXT NOT NULL, since_ms INTEGER NOT NULL, forgotten INTEGER NOT NULL) STRICT;`,
] as const;

/**
 * Opens the store, and creates it if it does not exist. Several processes may have it open: each sees at once what another
 * commits. The caller closes it.
 * @throws CourierError `forbidden` when this user may not use the folder; `conflict` when the file is of a newer release
 */
export function openStore(stateDir: string): Database {
  const path = join(stateDir, "server.db");
  try {
    makeFolder(stateDir);
    const database = new Database(path, { create: true, strict: true });
    protect(path, stateDir);
    prepare(database, path);
    return database;
  } catch (error) {
    throw asStoreError(error, path);
  }
}

/** As the owner of the folder that it is in, where root makes it for another user's service. */
function makeFolder(path: string): void {
  const made = mkdirSync(path, { recursive: true, mode: 0o700 });
  if (made === undefined || process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(dirname(made));
  if (made === path && basename(path) === COPY_FOLDER) chownSync(path, uid, gid);
}

function prepare(database: Database, path: string): void {
  database.run("PRAGMA busy_timeout = 5000");
  database.run("PRAGMA journal_mode = WAL");
  const migrate = database.transaction(() => {
    const version = userVersion(database);
    if (version > STEPS.length)
      throw new CourierError(
        "conflict",
        `Cannot use ${path}: it is from a newer gpu-server (schema version ${version})`,
        {
          hint: "Use that release, or another --state-dir",
        },
      );
    for (const step of STEPS.slice(version)) database.run(step);
    database.run(`PRAGMA user_version = ${STEPS.length}`);
  });
  migrate.immediate();
}

function userVersion(database: Database): number {
  return database.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
}

/** The file contains hashes of tokens. If root created it for another user's service, it is given to the folder's owner. */
function protect(path: string, stateDir: string): void {
  const { uid, gid } = statSync(stateDir);
  const mine = process.getuid?.();
  if (mine === 0 && statSync(path).uid !== uid) chownSync(path, uid, gid);
  if (mine === 0 || statSync(path).uid === mine) chmodSync(path, 0o600);
}

function asStoreError(error: unknown, path: string): CourierError {
  if (error instanceof CourierError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const refused = ["EACCES", "EPERM", "EROFS", "SQLITE_CANTOPEN", "SQLITE_READONLY"].includes(systemCode(error) ?? "");
  return new CourierError(refused ? "forbidden" : "internal", `Cannot open ${path}: ${reason}`, {
    hint: "Run as the owner of the state folder, or choose another with --state-dir",
    cause: error,
  });
}
