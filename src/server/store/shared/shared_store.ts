// What several servers share on one NATS: each keeps a copy, which it reads, and which goes on while NATS is away.
import type { Database } from "bun:sqlite";
import type { Check } from "../../../base/check.ts";
import { type Clock, systemClock, within } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { Outage } from "../../../base/outage.ts";
import type { Connection } from "../../../transport/nats/calls/connection.ts";
import type { LogFacts, LogStream } from "../../../transport/nats/calls/log_stream.ts";
import type { Reading } from "../../../transport/nats/calls/streams.ts";
import type { NatsAddress, NatsOptions } from "../../../transport/nats/options.ts";
import { ActiveModels, ModelType } from "../active_models.ts";
import { EndedJobs } from "../ended_jobs.ts";
import { StoredKnownAgents } from "../known_agents.ts";
import { RefusedJobs } from "../refused_jobs.ts";
import { StoredSessions } from "../sessions.ts";
import { TokenNotes } from "../token_notes.ts";
import { Tokens } from "../tokens.ts";
import { ACTIVE_MODEL, activeModelRecords, SharedActiveModels } from "./active_models.ts";
import { examineStore } from "./examine.ts";
import { KNOWN_AGENT, SharedKnownAgents } from "./known_agents.ts";
import { type LEASE_TIMES, Lease } from "./lease.ts";
import { copyEnds } from "./logs/copy_ends.ts";
import { AUDIT_KEPT, SharedAudit } from "./logs/shared_audit.ts";
import { ENDS_KEPT, LOG_ID, LOG_SINCE, SharedEnds } from "./logs/shared_ends.ts";
import { SharedWebhooks, WEBHOOKS_KEPT } from "./logs/shared_webhooks.ts";
import { type Places, placesOn } from "./places.ts";
import { Records } from "./records.ts";
import { SharedSessions, sessionRecords } from "./sessions.ts";
import { SharedTokens, TOKEN, tokenRecords } from "./tokens.ts";

export interface SharedStoreDeps {
  readonly address: NatsAddress;
  readonly options: NatsOptions;
  readonly database: Database;
  /** The transport's. */
  readonly clock: Clock;
  readonly log: Log;
  /** Of the ones that send webhooks and keep the fleet to its file; undefined: the usual ones. */
  readonly leaseTimes?: typeof LEASE_TIMES | undefined;
}

const RETRY_MS = 1_000;
const CAUGHT_UP_MS = 30_000;
/** Clocks are not exact. A job that ended just as the log began still belongs there. */
const LEEWAY_MS = 5_000;

/** How much was copied. */
interface Copied {
  readonly ends: number;
  readonly tokens: number;
  readonly models: number;
  /** The id of the newest event so far. */
  readonly lastEvent: string;
}

export class SharedStore {
  readonly ends: SharedEnds;
  readonly tokens: SharedTokens;
  readonly activeModels: SharedActiveModels;
  readonly sessions: SharedSessions;
  readonly knownAgents: SharedKnownAgents;
  readonly refusedJobs: RefusedJobs;
  readonly webhooks: SharedWebhooks;
  /** Of the server that keeps the fleet to its file. */
  readonly desiredLease: Lease;
  readonly #audit: SharedAudit;
  readonly #records: Records;
  readonly #deps: SharedStoreDeps;
  readonly #places: Places;
  readonly #connection: Connection;
  readonly #stream: LogStream;
  readonly #outage: Outage;
  #reading: Reading | undefined;

  constructor(deps: SharedStoreDeps) {
    const { database, clock, log } = deps;
    const places = placesOn(deps);
    this.#deps = deps;
    this.#places = places;
    this.#connection = places.connection;
    this.#stream = places.ends;
    this.refusedJobs = new RefusedJobs(database, clock);
    this.ends = new SharedEnds({ stream: places.ends, database, refused: this.refusedJobs, clock, log });
    const [tokens, models] = [new Tokens(database, clock), new ActiveModels(database)];
    const sessions = new StoredSessions(database);
    this.knownAgents = new SharedKnownAgents({ database, clock });
    const records = new Records({
      ...places,
      database,
      kinds: {
        [TOKEN]: tokenRecords(database, tokens),
        [ACTIVE_MODEL]: activeModelRecords(models),
        ...sessionRecords(sessions, systemClock),
        [KNOWN_AGENT]: this.knownAgents.records,
      },
      clock,
      log,
    });
    this.#records = records;
    this.tokens = new SharedTokens({ records, tokens, clock });
    this.activeModels = new SharedActiveModels(records, models);
    this.sessions = new SharedSessions(records, sessions);
    this.#audit = new SharedAudit({ ...places, stream: places.audit, database, clock, log });
    this.desiredLease = new Lease({ ...places, key: "lease.desired", clock, log }, deps.leaseTimes);
    const lease = new Lease({ ...places, key: "lease.webhooks", clock, log }, deps.leaseTimes);
    this.webhooks = new SharedWebhooks({ ...places, stream: places.webhooks, lease, database, clock, log });
    this.#outage = new Outage({ clock, log, subject: "The store on NATS" });
  }

  /**
   * Makes the copy one of what is there now. It may be an old one while NATS is away.
   * @throws CourierError `unavailable` when there is no copy yet and NATS is away; `conflict` when something else is there
   */
  async open(): Promise<void> {
    try {
      await this.#connection.open();
      await this.#catchUp(await this.ends.follow(await this.#facts()));
      await this.#catchUp(await this.#records.follow());
      await this.#catchUp(await this.#audit.follow());
      await this.#catchUp(await this.webhooks.follow());
    } catch (error) {
      if (!this.ends.isCopy) throw error;
      this.#outage.failed("open", error);
    }
  }

  /**
   * Follows only tokens and active models, for a command that changes or lists them. It goes on while a server uses the copy.
   * @throws CourierError `unavailable` while NATS is away
   */
  async openRecords(): Promise<void> {
    await this.#connection.open();
    this.#reading = await this.#records.follow();
    await within(this.#deps.clock, CAUGHT_UP_MS, this.#reading.caughtUp, undefined);
  }

  /** Follows and writes until `stop` aborts. Never rejects. */
  async run(stop: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    let [round, pause] = [new AbortController(), new AbortController()];
    this.#connection.follow({ lost: () => round.abort(), back: () => pause.abort() });
    while (!stop.aborted) {
      [round, pause] = [new AbortController(), new AbortController()];
      try {
        await this.#connection.open();
        await this.#round(AbortSignal.any([stop, round.signal]));
      } catch (error) {
        if (!stop.aborted) this.#outage.failed("follow", error);
      }
      round.abort();
      await clock.sleep(RETRY_MS, AbortSignal.any([stop, pause.signal]));
    }
  }

  /** Takes to the other servers what a command has decided. @throws CourierError `unavailable` while NATS is away */
  async shareKnownAgents(): Promise<void> {
    await this.knownAgents.share(this.#records);
  }

  /** For `doctor`. */
  examine(): AsyncIterable<Check> {
    const { bucket, streams, ends, audit, webhooks } = this.#places;
    const logs = [
      { stream: ends, kept: ENDS_KEPT },
      { stream: audit, kept: AUDIT_KEPT },
      { stream: webhooks, kept: WEBHOOKS_KEPT },
    ];
    return examineStore({ bucket, streams, logs });
  }

  async close(): Promise<void> {
    this.#reading?.close();
    await this.#connection.close();
  }

  async #catchUp(reading: Reading): Promise<void> {
    await within(this.#deps.clock, CAUGHT_UP_MS, Promise.race([reading.caughtUp, reading.ended]), undefined);
    reading.close();
  }

  /** @throws CourierError what ended it before the signal did */
  async #round(ended: AbortSignal): Promise<void> {
    const facts = await this.#facts();
    if (!this.ends.isSameLog(facts))
      throw new CourierError("conflict", "The log of ended jobs on NATS is another one than before", {
        hint: "Restart gpu-server: it takes the new one. Event ids of the one before mean nothing there",
      });
    const over = Promise.withResolvers<void>();
    ended.addEventListener("abort", () => over.resolve(), { once: true });
    const readings: Reading[] = [];
    try {
      readings.push(await this.ends.follow(facts));
      readings.push(await this.#records.follow());
      readings.push(await this.#audit.follow());
      readings.push(await this.webhooks.follow());
      for (const place of ["open", "follow"]) this.#outage.ended(place);
      const writing = [
        this.ends.write(ended),
        this.knownAgents.run(this.#records, ended),
        this.#audit.run(ended),
        this.webhooks.run(ended),
      ];
      await Promise.race([...readings.map((each) => each.ended), ...writing, over.promise]);
    } finally {
      for (const reading of readings) reading.close();
    }
  }

  /**
   * Copies what a server on SQLite has, which must not run; what is there already stays, so a second attempt goes on.
   * @throws CourierError `conflict` when another log is there
   */
  async copyFrom(source: Database): Promise<Copied> {
    const { clock } = this.#deps;
    const known = [...new StoredKnownAgents(source).read()];
    const learned = new Map(known.filter(([, { status }]) => status === "first use"));
    const decided = new Map(known.filter(([agent]) => !learned.has(agent)));
    this.knownAgents.write({ displaced: new Set(), learned, decided, seen: new Map() });
    await this.openRecords();
    await this.shareKnownAgents();
    const log = new EndedJobs(source, clock);
    const facts = await this.#facts(log);
    if (facts.metadata[LOG_ID] !== log.id)
      throw new CourierError("conflict", "NATS already has the log of other gpu-servers", {
        hint: `Remove the stream ${this.#stream.name} if nobody needs it, or give this installation another --nats-prefix`,
      });
    const ends = await copyEnds(log, { stream: this.#stream, after: facts.last });
    const tokens = await this.tokens.copy(
      new Tokens(source, clock),
      new TokenNotes({ ...this.#deps, database: source }),
    );
    const models = Object.entries(new ActiveModels(source).read());
    for (const [type, model] of models) await this.activeModels.set(ModelType.parse(type), model);
    return { ends, tokens, models: models.length, lastEvent: `${log.id}-${log.last}` };
  }

  /**
   * Of the log, which the first server makes.
   * @param before the log that it continues, if it is made now
   * @throws CourierError `conflict` for another kind of stream
   */
  async #facts(before?: EndedJobs): Promise<LogFacts> {
    const hasBegun = before?.hasBegun === true;
    const sinceMs = hasBegun ? before.sinceMs : Math.round(this.#deps.clock.now() - LEEWAY_MS);
    const metadata = { [LOG_ID]: before?.id ?? crypto.randomUUID().slice(0, 8), [LOG_SINCE]: String(sinceMs) };
    const { replicas } = this.#places;
    const firstNumber = (before?.forgotten ?? 0) + 1;
    const facts = await this.#stream.open({ metadata, firstNumber, replicas, ...ENDS_KEPT });
    if (/^[0-9a-f]+$/.test(facts.metadata[LOG_ID] ?? "")) return facts;
    throw new CourierError("conflict", `The stream ${this.#stream.name} on NATS is no log of ended jobs`, {
      hint: "Give this installation another --nats-prefix",
    });
  }
}
