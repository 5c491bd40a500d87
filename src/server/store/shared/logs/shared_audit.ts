// The audit that servers share: each writes its own entries locally, takes them to NATS, and follows those of all into its copy.
import type { Database } from "bun:sqlite";
import { type Clock, within } from "../../../../base/clock.ts";
import { CourierError } from "../../../../base/errors.ts";
import type { Log } from "../../../../base/log.ts";
import type { LogEntry, LogFacts, LogStream } from "../../../../transport/nats/calls/log_stream.ts";
import { AuditCopy, type NumberedEntry, SharedEntry } from "../../../audit/audit_copy.ts";
import { AuditLog } from "../../../audit/audit_log.ts";
import { type CopyReading, followInto } from "./log_copy.ts";

export interface SharedAuditDeps {
  readonly stream: Pick<LogStream, "name" | "open" | "add" | "facts" | "follow">;
  readonly replicas: number;
  readonly database: Database;
  readonly clock: Pick<Clock, "now" | "sleep">;
  readonly log: Log;
}

/** Of the stream: twice what a copy keeps, and as long. */
export const AUDIT_KEPT = { mostEntries: 200_000, mostBytes: 512 * 1024 * 1024, keptMs: 90 * 86_400_000 };
/** In the metadata of the stream. */
const AUDIT_ID = "gpu-courier-audit";

const AT_ONCE = 100;
const EVERY_MS = 250;
/** No command lasts so long: gpu-server ended before it knew the outcome. */
const UNENDED_MS = 900_000;
/** Far longer than an entry takes to come back. */
const BACK_MS = 5_000;

export class SharedAudit {
  readonly #deps: SharedAuditDeps;
  readonly #copy: AuditCopy;
  /** Keeps the bounds of the copy. */
  readonly #audit: AuditLog;
  #placed = Promise.withResolvers<void>();

  constructor(deps: SharedAuditDeps) {
    this.#deps = deps;
    this.#copy = new AuditCopy(deps.database);
    this.#audit = new AuditLog(deps.database, deps.clock);
  }

  /** Makes the log if nobody has, and follows it from where the copy ends. */
  async follow(): Promise<CopyReading> {
    const { stream, log } = this.#deps;
    const facts = await this.#opened();
    this.#copy.become(facts.metadata[AUDIT_ID] ?? "", facts.last);
    const { last } = this.#copy.position;
    // More than the stream keeps came while this server was away, or before its first start.
    if (facts.first > last + 1)
      this.#copy.skip(facts.first, { entries: facts.first - 1 - last, until: facts.firstAtMs });
    const extent = { from: this.#copy.position.last, last: facts.last };
    return await followInto(stream, extent, (entries) => this.#place(entries), log);
  }

  /** Takes to NATS what waits, now and then, until `stop` aborts. @throws CourierError `unavailable`: the rest waits on */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#share();
      await this.#deps.clock.sleep(EVERY_MS, stop);
    }
  }

  async #opened(): Promise<LogFacts> {
    const { stream, replicas } = this.#deps;
    const metadata = { [AUDIT_ID]: crypto.randomUUID().slice(0, 8) };
    const facts = await stream.open({ metadata, firstNumber: 1, replicas, ...AUDIT_KEPT });
    if (/^[0-9a-f]+$/.test(facts.metadata[AUDIT_ID] ?? "")) return facts;
    throw new CourierError("conflict", `The stream ${stream.name} on NATS is no audit`, {
      hint: "Give this installation another --nats-prefix",
    });
  }

  async #share(): Promise<void> {
    const { stream, clock } = this.#deps;
    for (;;) {
      const waiting = this.#copy.waiting(AT_ONCE, clock.now() - UNENDED_MS);
      if (waiting.length === 0) return;
      const numbers = await Promise.all(waiting.map(async ({ id, text }) => await stream.add(id, text)));
      // It is there already, from an attempt whose answer was lost.
      const last = numbers.includes(null) ? (await stream.facts()).last : 0;
      await this.#comeBack(Math.max(last, ...numbers.map(Number)));
    }
  }

  /** An entry waits until then, and would be sent again. @throws CourierError `unavailable` */
  async #comeBack(number: number): Promise<void> {
    const isPlaced = async (): Promise<boolean> => {
      while (this.#copy.position.last < number) await this.#placed.promise;
      return true;
    };
    if (await within(this.#deps.clock, BACK_MS, isPlaced(), false)) return;
    throw new CourierError("unavailable", "Entries of the audit are on NATS, but have not come back to this server");
  }

  #place(arrived: readonly LogEntry[]): void {
    this.#copy.place(
      arrived.map((each) => this.#numbered(each)).filter((each) => each !== undefined),
      arrived.at(-1)?.number ?? 0,
    );
    this.#audit.tidy(arrived.length);
    this.#placed.resolve();
    this.#placed = Promise.withResolvers();
  }

  #numbered({ number, key: id, data }: LogEntry): NumberedEntry | undefined {
    const entry = entryOf(data);
    if (entry === undefined) this.#deps.log.warn({ number }, "Skipped an invalid entry in the audit on NATS");
    return entry && { number, id, entry };
  }
}

function entryOf(data: Uint8Array): SharedEntry | undefined {
  try {
    return SharedEntry.safeParse(JSON.parse(new TextDecoder().decode(data))).data;
  } catch {
    return undefined;
  }
}
