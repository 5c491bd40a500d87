// The audit of changes that a command on this machine makes in the server's state directory, also while the server runs.
import { systemClock } from "../../base/clock.ts";
import { openStore } from "../store/store.ts";
import { AuditLog } from "./audit_log.ts";
import { newEntry } from "./new_entry.ts";

export interface LocalChange {
  /** As it is called: `gpu-server token add`. */
  readonly command: string;
  /** The user of this machine. */
  readonly who: string;
  readonly agent?: string;
  readonly details: object;
}

/** Adds the entry of a change that was made. */
export function recordLocalChange(stateDir: string, { command, who, agent, details }: LocalChange): void {
  const database = openStore(stateDir);
  try {
    const sender = { request: command, request_id: null, who, way: "local", peer: null };
    const what = { verb: null, agent: agent ?? null, model: null, details: JSON.stringify(details), key: null };
    new AuditLog(database, systemClock).add(newEntry({ ...sender, ...what, outcome: "ok", job: null }));
  } finally {
    database.close();
  }
}
