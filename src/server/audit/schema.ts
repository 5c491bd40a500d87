// The tables of the audit and their indexes.

export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, is_refused INTEGER NOT NULL,
    request TEXT, request_id TEXT, who TEXT, way TEXT, peer TEXT, verb TEXT, agent TEXT, model TEXT, details TEXT,
    outcome TEXT, job TEXT, key TEXT
  ) STRICT;
  CREATE INDEX IF NOT EXISTS audit_age ON audit (is_refused, at_ms);
  CREATE INDEX IF NOT EXISTS audit_order ON audit (is_refused, number);
  CREATE INDEX IF NOT EXISTS audit_job ON audit (job) WHERE job IS NOT NULL;
  CREATE INDEX IF NOT EXISTS audit_sender ON audit (is_refused, way, who, number);
  CREATE TABLE IF NOT EXISTS audit_dropped (
    is_refused INTEGER PRIMARY KEY, entries INTEGER NOT NULL, until_ms INTEGER NOT NULL
  ) STRICT;`;
