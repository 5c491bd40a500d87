// The log of ended jobs that several servers share: NATS numbers the ends, and each server follows it into a copy of its own.
import type { Database } from "bun:sqlite";
import { z } from "zod";
import { type Clock, within } from "../../../../base/clock.ts";
import type { Log } from "../../../../base/log.ts";
import { Job } from "../../../../protocol.ts";
import type { LogEntry, LogFacts, LogReading, LogStream } from "../../../../transport/nats/calls/log_stream.ts";
import { type EndedJob, EndedJobs, type EndLog, endAtMs, type NumberedEnd } from "../../ended_jobs.ts";
import type { RefusedJobs } from "../../refused_jobs.ts";
import { Copying } from "./copying.ts";
import { endKey, type PendingEnd, PendingEnds } from "./pending_ends.ts";

export interface SharedEndsDeps {
  readonly stream: Pick<LogStream, "add" | "facts" | "follow">;
  readonly database: Database;
  /** This server's copy of them: they come and go with their ends. */
  readonly refused: Pick<RefusedJobs, "add" | "find">;
  /** The transport's. */
  readonly clock: Pick<Clock, "now" | "sleep">;
  readonly log: Log;
}

/** Of the stream, which keeps more than any copy: what it drops, every copy has forgotten, and takes for no news. */
export const ENDS_KEPT = { mostEntries: 40_000, mostBytes: 128 * 1024 * 1024, keptMs: 0 };
/** In the metadata of the stream. */
export const LOG_ID = "gpu-courier-log";
export const LOG_SINCE = "gpu-courier-since-ms";

const AT_ONCE = 100;
/** How far another server may be ahead of this one: a listener that comes from there knows newer numbers. */
const FARTHEST_AHEAD = 10_000;
const SETTLED_MS = 5_000;
/** A server that was away gets no older refused jobs. */
const REFUSED_MS = 3_600_000;

/** An entry of the stream. Only servers write there, and yet it is checked. */
const Entry = z.object({
  at_ms: z.int().nonnegative(),
  job: Job,
  /** Whether no agent has the job, because it was refused. */
  refused: z.boolean().optional(),
});

interface Arrived extends NumberedEnd {
  readonly isRefused: boolean;
}

/** Ends as soon as the copy cannot be written, too: what comes then would leave a gap. */
interface CopyReading extends LogReading {
  /** Resolves when the copy has what the log had at the beginning. */
  readonly caughtUp: Promise<void>;
}

export class SharedEnds implements EndLog {
  readonly #deps: SharedEndsDeps;
  readonly #copy: EndedJobs;
  readonly #pending: PendingEnds;
  /** Delivered, and not in the copy yet. */
  #arrived: Arrived[] = [];
  #wake = Promise.withResolvers<void>();
  /** The log has everything of this server up to this number. */
  #written = 0;
  #settled = Promise.withResolvers<void>();
  constructor(deps: SharedEndsDeps) {
    this.#deps = deps;
    this.#copy = new EndedJobs(deps.database, deps.clock);
    this.#pending = new PendingEnds(deps.database);
    this.#copy.listen(() => this.#settle());
  }

  get id(): string {
    return this.#copy.id;
  }

  get last(): number {
    return this.#copy.last;
  }

  listen(added: () => void): void {
    this.#copy.listen(added);
  }

  /** The log began when the first server made it. */
  begin(): void {}

  news(jobs: readonly Job[], clockOffsetMs = 0): readonly Job[] {
    return this.#copy.news(jobs, clockOffsetMs).filter((job) => !this.#pending.has(job));
  }

  /** Takes new ends to the shared log, now or as soon as it can be reached. Readers see one once it comes back from there. */
  add(jobs: readonly Job[], clockOffsetMs = 0): boolean {
    const nowMs = this.#deps.clock.now();
    const news = this.news(jobs, clockOffsetMs);
    if (news.length === 0) return false;
    this.#pending.add(news.map((job) => ({ job, atMs: endAtMs(job, clockOffsetMs, nowMs) })));
    this.#wake.resolve();
    return true;
  }

  after(number: number, limit: number): readonly EndedJob[] {
    return this.#copy.after(number, limit);
  }

  reaches(number: number): boolean {
    return this.#copy.reaches(Math.min(number, this.last)) && number <= this.last + FARTHEST_AHEAD;
  }

  find(id: string, isMeant?: (agent: string) => boolean): EndedJob | undefined {
    return this.#copy.find(id, isMeant);
  }

  /** Resolves when the copy has what this server added so far, or after some seconds: while NATS is away nothing comes. */
  async settled(): Promise<void> {
    if (this.#isSettled) return;
    await within(this.#deps.clock, SETTLED_MS, this.#settled.promise, undefined);
  }

  /** Whether there is a copy, of any log. */
  get isCopy(): boolean {
    return this.#copy.hasBegun;
  }

  isSameLog({ metadata }: LogFacts): boolean {
    return metadata[LOG_ID] === this.id;
  }

  /** Makes the copy one of this log, and follows it from where the copy ends. */
  async follow(facts: LogFacts): Promise<CopyReading> {
    const { stream, log } = this.#deps;
    const { metadata, first, begunAt, firstAtMs } = facts;
    // The dropped ones ended before the oldest one left was added.
    const sinceMs = Math.max(Number(metadata[LOG_SINCE]) || 0, first > begunAt ? firstAtMs : 0);
    this.#take();
    this.#copy.copyOf({ id: metadata[LOG_ID] ?? "", sinceMs, forgotten: first - 1 });
    const caughtUp = Promise.withResolvers<void>();
    if (this.last >= facts.last) caughtUp.resolve();
    const copying = new Copying(log);
    const takeUpTo = (number: number): void => {
      this.#take();
      if (number >= facts.last) caughtUp.resolve();
    };
    const reading = await stream.follow(this.last + 1, (entry) => {
      // An old reading would leave a gap.
      if (copying.isOver) return;
      this.#arrive(entry);
      // One commit takes all that arrive together.
      if (this.#arrived.length > 1 && entry.number < facts.last) return;
      setImmediate(() => copying.run(() => takeUpTo(entry.number)));
    });
    return copying.following({ ...reading, caughtUp: caughtUp.promise });
  }

  /** Writes what is pending until `stop` aborts. @throws CourierError what the stream throws: all that is left stays pending */
  async write(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      this.#wake = Promise.withResolvers();
      const stopped = (): void => this.#wake.resolve();
      stop.addEventListener("abort", stopped, { once: true });
      while (this.#pending.size > 0 && !stop.aborted) await this.#writeSome();
      await this.#wake.promise;
      stop.removeEventListener("abort", stopped);
    }
  }

  /** In order: the server takes what one connection sends in the order in which it is sent. */
  async #writeSome(): Promise<void> {
    const { stream } = this.#deps;
    const ends = this.#pending.first(AT_ONCE);
    const results = await Promise.allSettled(
      ends.map(async (end) => await stream.add(endKey(end.job), this.#text(end))),
    );
    const failed = results.findIndex(({ status }) => status === "rejected");
    const taken = results.slice(0, failed < 0 ? results.length : failed);
    const numbers = taken.map((result) => (result.status === "fulfilled" ? result.value : null));
    // Another server was faster with one.
    const isBehind = numbers.includes(null);
    this.#written = Math.max(this.#written, isBehind ? (await stream.facts()).last : 0, ...numbers.map(Number));
    this.#pending.remove(ends.slice(0, taken.length));
    this.#settle();
    const failure = results[failed];
    if (failure?.status === "rejected") throw failure.reason;
  }

  #arrive({ number, key, data }: LogEntry): void {
    // The log has such an entry where a number is missing in the log that it continues.
    if (data.length === 0) return;
    const end = entryOf(data);
    if (end !== undefined && endKey(end.job) === key)
      this.#arrived.push({ number, job: end.job, atMs: end.at_ms, isRefused: end.refused === true });
    else this.#deps.log.warn({ number }, "Skipped an invalid entry in the log of ended jobs on NATS");
  }

  #take(): void {
    const ends = this.#arrived;
    this.#arrived = [];
    this.#copy.place(ends);
    const { refused, clock } = this.#deps;
    const oldestMs = clock.now() - REFUSED_MS;
    const news = ends.filter(({ isRefused, atMs, job }) => isRefused && atMs > oldestMs && !refused.find(job.id ?? ""));
    refused.add(news.map(({ job }) => job));
  }

  #text(end: PendingEnd): string {
    return endText(end, this.#deps.refused.find(end.job.id ?? "")?.agent === end.job.agent);
  }

  get #isSettled(): boolean {
    return this.#pending.size === 0 && this.last >= this.#written;
  }

  #settle(): void {
    if (!this.#isSettled) return;
    this.#settled.resolve();
    this.#settled = Promise.withResolvers();
  }
}

export function endText({ job, atMs }: PendingEnd, isRefused: boolean): string {
  return JSON.stringify({ at_ms: atMs, job, ...(isRefused ? { refused: true } : {}) } satisfies z.infer<typeof Entry>);
}

function entryOf(data: Uint8Array): z.infer<typeof Entry> | undefined {
  try {
    return Entry.safeParse(JSON.parse(new TextDecoder().decode(data))).data;
  } catch {
    return undefined;
  }
}
