// One page of the audit as a document.
import type { AuditDocument } from "../../documents/audit.ts";
import type { AuditFilter, AuditLog, AuditPage } from "./audit_log.ts";

export function readAudit(
  audit: Pick<AuditLog, "read" | "dropped">,
  filter: AuditFilter,
  { limit, before }: AuditPage,
): AuditDocument {
  const found = audit.read(filter, { limit: limit + 1, before });
  const entries = found.slice(0, limit);
  const last = entries.at(-1);
  const dropped = audit.dropped();
  return {
    entries,
    ...(dropped.length === 0 ? {} : { dropped: [...dropped] }),
    ...(found.length > limit && last !== undefined ? { next: String(last.number) } : {}),
  };
}
