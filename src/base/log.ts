// The log as modules see it: the entry points open one, tests use their own.
/** What modules log with: a message that is the same each time, and what differs as fields. */
export interface Log {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
  debug(fields: object, message: string): void;
}

export const silentLog: Log = { error() {}, warn() {}, info() {}, debug() {} };
