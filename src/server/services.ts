// The parts of the server that the routes use.
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { WatchedFleet } from "../courier/index/watched_fleet.ts";
import type { Courier } from "../courier.ts";
import type { Authenticator } from "./access/authenticator.ts";
import type { Catalog } from "./catalog.ts";
import type { Connection } from "./connection.ts";
import type { Readiness } from "./http/readiness.ts";
import type { RefusedLogins } from "./http/refused_logins.ts";
import type { JobFeed } from "./job_feed.ts";
import type { FreshLists } from "./limits/fresh_lists.ts";
import type { JobQuestions } from "./limits/job_questions.ts";
import type { Listeners } from "./limits/listeners.ts";
import type { ModelQuestions } from "./limits/model_questions.ts";
import type { RenderedLists } from "./lists/rendered.ts";
import type { ActiveModels } from "./store/active_models.ts";
import type { EndedJobs } from "./store/ended_jobs.ts";
import type { RefusedJobs } from "./store/refused_jobs.ts";

export interface Services {
  readonly fleet: WatchedFleet;
  readonly courier: Courier;
  readonly modelQuestions: ModelQuestions;
  readonly jobQuestions: JobQuestions;
  readonly freshLists: FreshLists;
  readonly connection: Connection;
  readonly readiness: Readiness;
  readonly authenticator: Authenticator;
  readonly refusedLogins: RefusedLogins;
  readonly activeModels: ActiveModels;
  readonly refusedJobs: RefusedJobs;
  readonly endedJobs: EndedJobs;
  readonly jobFeed: JobFeed;
  readonly listeners: Listeners;
  readonly lists: RenderedLists;
  readonly catalog: Catalog;
  /** The agent for a pull or delete on the platform's routes that names no agent. */
  readonly defaultAgent: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}
