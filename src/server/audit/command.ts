// `gpu-server audit`: shows who changed what, also while the server runs.
import { systemClock } from "../../base/clock.ts";
import { jsonText } from "../../base/invisible.ts";
import { openStore } from "../store/store.ts";
import { AuditLog } from "./audit_log.ts";
import { auditText } from "./audit_text.ts";
import { readAudit } from "./read_audit.ts";

export interface AuditOptions {
  readonly sinceMs: number | undefined;
  readonly limit: number;
  readonly json: boolean;
}

export function showAudit(
  stateDir: string,
  { sinceMs, limit, json }: AuditOptions,
  print: (text: string) => void,
): void {
  const database = openStore(stateDir);
  try {
    const document = readAudit(new AuditLog(database, systemClock), { sinceMs }, { limit });
    print(json ? `${jsonText(document)}\n` : auditText(document));
  } finally {
    database.close();
  }
}
