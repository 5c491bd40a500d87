// The parts of the server that the routes use.
import type { Context } from "hono";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { IndexedFleet } from "../courier/index/indexed_fleet.ts";
import type { WatchedFleet } from "../courier/index/watched_fleet.ts";
import type { Courier } from "../courier.ts";
import type { DesiredDocument } from "../documents/models/desired.ts";
import type { PublishedModels } from "../program/registry/published.ts";
import type { Keeper } from "../trust/agents/keeper.ts";
import type { Authenticator } from "./access/authenticator.ts";
import type { Sessions } from "./access/sessions/sessions.ts";
import type { Tickets } from "./access/tickets.ts";
import type { TrustedProxies } from "./access/trusted_proxies.ts";
import type { AuditLog } from "./audit/audit_log.ts";
import type { Recorder } from "./audit/recorder.ts";
import type { Connection } from "./fleet/connection.ts";
import type { JobFeed } from "./fleet/job_feed.ts";
import type { RenderedLists } from "./fleet/lists/rendered.ts";
import type { Env } from "./http/env.ts";
import type { RefusedLogins } from "./http/guard/refused_logins.ts";
import type { SessionCookie } from "./http/guard/session_cookie.ts";
import type { Readiness } from "./http/readiness.ts";
import type { Examination } from "./limits/examination.ts";
import type { FreshLists } from "./limits/fresh_lists.ts";
import type { JobQuestions } from "./limits/job_questions.ts";
import type { Listeners } from "./limits/listeners.ts";
import type { ModelQuestions } from "./limits/model_questions.ts";
import type { Measures } from "./metrics/measures.ts";
import type { KeptFleet } from "./models/desired/kept_fleet.ts";
import type { FleetMirror } from "./models/mirror/scoped_mirror.ts";
import type { ServerMirror } from "./models/mirror/server_mirror.ts";
import type { MirrorFiles } from "./models/mirror_files/mirror_files.ts";
import type { Catalog } from "./platform/catalog.ts";
import type { ActiveModelStore } from "./store/active_models.ts";
import type { EndedJob, EndLog } from "./store/ended_jobs.ts";
import type { RefusedJobs } from "./store/refused_jobs.ts";
import type { TokenNotes } from "./store/token_notes.ts";
import type { TokenStore } from "./store/tokens.ts";
import type { Webhooks } from "./webhooks/webhooks.ts";

/** As one caller sees them: to a caller that is limited to some agents, these are all there are. */
export interface Services {
  readonly fleet: IndexedFleet;
  readonly courier: Courier;
  /** Stores the keys of the agents. */
  readonly keeper: Keeper;
  readonly modelQuestions: ModelQuestions;
  readonly jobQuestions: JobQuestions;
  readonly freshLists: FreshLists;
  readonly connection: Pick<Connection, "requireOpen">;
  readonly readiness: Readiness;
  readonly authenticator: Authenticator;
  readonly tickets: Tickets;
  readonly refusedLogins: RefusedLogins;
  readonly activeModels: ActiveModelStore;
  readonly refusedJobs: Pick<RefusedJobs, "add" | "version" | "list" | "find">;
  /** @param isMeant the agents whose job it can be; by default all */
  readonly endedJobs: { find(id: string, isMeant?: (agent: string) => boolean): EndedJob | undefined };
  /** Which agents were asked for a job through this server. */
  readonly audit: Pick<AuditLog, "askedFor">;
  readonly jobFeed: Pick<JobFeed, "addEnds" | "eventId" | "startAfter" | "listen" | "listenToJob" | "endOf">;
  readonly listeners: Listeners;
  readonly lists: Pick<RenderedLists, "get">;
  readonly catalog: Catalog;
  /** What the registries have now. */
  readonly publishedModels: PublishedModels;
  /** The fleet compared with the file that names its models. */
  readonly desired: { document(): DesiredDocument };
  /** Null: this server runs none. */
  readonly mirror: FleetMirror | null;
  /** The agent for a pull or delete on the platform's routes that names no agent. */
  readonly defaultAgent: string | undefined;
  /** Whether a pull that was started under /agents is cancelled when the last client that follows it disconnects. */
  readonly cancelsOnDisconnect: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a new box needs to know of this site. */
export interface SetupFacts {
  /** The path of the share on the server's machine, or an address of NATS. */
  readonly address: string;
  /** Of the names on NATS; missing: the default. */
  readonly natsPrefix?: string | undefined;
  /** The lines for the trusted keys of the boxes: empty if nothing is signed, or a roster names the senders. */
  readonly trustedKeys: readonly string[];
  readonly operatorKeys: readonly string[];
}

/** Of the whole fleet. A route has only those of its caller. */
export interface WholeServices extends Services {
  readonly fleet: WatchedFleet;
  readonly connection: Connection;
  readonly jobFeed: JobFeed;
  readonly endedJobs: EndLog;
  readonly examination: Examination;
  readonly audit: AuditLog;
  readonly measures: Measures;
  readonly recorder: Recorder;
  /** Null: there is no console. */
  readonly sessions: Sessions | null;
  readonly sessionCookie: SessionCookie;
  readonly proxies: TrustedProxies;
  readonly tokens: TokenStore;
  readonly tokenNotes: TokenNotes;
  readonly setup: () => SetupFacts;
  /** Whether tokens may be added and revoked over HTTP. */
  readonly managesTokens: boolean;
  readonly webhooks: Webhooks;
  readonly mirror: ServerMirror | null;
  readonly desired: Pick<KeptFleet, "document" | "run">;
  /** Null: no mirror is served. */
  readonly mirrorFiles: MirrorFiles | null;
}

/** The services of the caller of a request. */
export type ServicesOf = (context: Context<Env>) => Services;
