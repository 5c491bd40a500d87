// A database on a disk that is full, or damaged, for as long as a test wants.
import { Database } from "bun:sqlite";

/** `open` is how a ledger opens its file; its writes fail with SQLite's own code while `fails` returns true. */
export class FailingDisk {
  fails: "SQLITE_FULL" | "SQLITE_CORRUPT" | null;

  constructor(fails: FailingDisk["fails"] = null) {
    this.fails = fails;
  }

  readonly open = (path: string): Database =>
    new Proxy(new Database(path), {
      get: (database, name) => {
        const member: unknown = Reflect.get(database, name, database);
        if (typeof member !== "function") return member;
        return (...args: unknown[]): unknown => {
          this.#requireSound(args[0]);
          return Reflect.apply(member, database, args);
        };
      },
    });

  #requireSound(sql: unknown): void {
    if (this.fails === null || !/^\s*(?:CREATE|INSERT|UPDATE|DELETE)/.test(String(sql))) return;
    throw Object.assign(new Error("as a test wants it"), { code: this.fails });
  }
}
