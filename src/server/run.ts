// Assembles the server from its settings and runs it until the stop signal.

import type { Database } from "bun:sqlite";
import { hostname } from "node:os";
import { type Clock, systemClock, within } from "../base/clock.ts";
import { CourierError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { WatchedFleet } from "../courier/index/watched_fleet.ts";
import { Courier } from "../courier.ts";
import { VERSION } from "../program/flags.ts";
import { PublishedModels, type PublishedModelsOptions } from "../program/registry/published.ts";
import { FIRST_LOOK_MS, type ServiceManager } from "../program/service_manager.ts";
import { Mirror } from "../transport/mirror/mirror.ts";
import { mirrorGuard } from "../transport/mirror/reading/guard.ts";
import { mostStatesOf, several } from "../transport/several.ts";
import type { Transport } from "../transport.ts";
import { Keeper } from "../trust/agents/keeper.ts";
import { KnownAgents, type VerifyMode } from "../trust/agents/known_agents.ts";
import { publicLine, type SigningKey } from "../trust/keys.ts";
import { KeptRoster } from "../trust/roster/kept_roster.ts";
import { operatorKeysFile } from "../trust/roster/operator_keys.ts";
import { RosterReading } from "../trust/roster/take_roster.ts";
import { Authenticator, type Login } from "./access/authenticator.ts";
import { Sessions } from "./access/sessions/sessions.ts";
import { Tickets } from "./access/tickets.ts";
import { TrustedProxies } from "./access/trusted_proxies.ts";
import { createApi, createTrustedApi } from "./api.ts";
import { AuditLog } from "./audit/audit_log.ts";
import { Recorder } from "./audit/recorder.ts";
import { Connection } from "./fleet/connection.ts";
import { JobFeed } from "./fleet/job_feed.ts";
import { RenderedLists } from "./fleet/lists/rendered.ts";
import { RefusedLogins } from "./http/guard/refused_logins.ts";
import { SessionCookie } from "./http/guard/session_cookie.ts";
import { TrustedHosts } from "./http/guard/trusted_hosts.ts";
import { type Address, isLoopback, type Listener, listen } from "./http/listen.ts";
import { Readiness } from "./http/readiness.ts";
import { checkItself } from "./http/self_check.ts";
import { Examination } from "./limits/examination.ts";
import { Listeners, MAX_WAIT_S } from "./limits/listeners.ts";
import { openQuestions } from "./limits/questions.ts";
import { Measures } from "./metrics/measures.ts";
import { TimedTransport } from "./metrics/timed_transport.ts";
import type { DesiredSettings } from "./models/desired/flags.ts";
import { KeptFleet, type KeptFleetDeps } from "./models/desired/kept_fleet.ts";
import type { MirrorSettings } from "./models/mirror/flags.ts";
import { type MirrorParts, openMirror } from "./models/mirror/open.ts";
import { MirrorFiles } from "./models/mirror_files/mirror_files.ts";
import type { Catalog } from "./platform/catalog.ts";
import type { SetupFacts, WholeServices } from "./services.ts";
import { ActiveModels } from "./store/active_models.ts";
import { EndedJobs } from "./store/ended_jobs.ts";
import { StoredKnownAgents } from "./store/known_agents.ts";
import { RefusedJobs } from "./store/refused_jobs.ts";
import { StoredSessions } from "./store/sessions.ts";
import type { SharedStore } from "./store/shared/shared_store.ts";
import { TokenNotes } from "./store/token_notes.ts";
import { type TokenStore, Tokens } from "./store/tokens.ts";
import type { WebhookSettings } from "./webhooks/settings.ts";
import { Webhooks } from "./webhooks/webhooks.ts";

export interface ServerSettings {
  readonly address: Address;
  /** Where the GPU service's routes are served without a token. */
  readonly trustedAddress: Address | undefined;
  /** Names in the Host header that it serves in addition to its own address. */
  readonly trustedHosts: readonly string[];
  /** Of the web pages whose browsers may use the API. */
  readonly corsOrigins: readonly string[];
  /** Of the transport that a new box gets: the path of a share on this machine, or an address of NATS. */
  readonly newBoxesOn: string;
  /** Of the names on NATS; undefined: the default. */
  readonly natsPrefix: string | undefined;
  /** Whether there are the page and its sessions. */
  readonly console: boolean;
  /** Where browsers find it; null: where it listens. */
  readonly publicUrl: URL | null;
  /** Addresses and networks whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /** Whether tokens may be added and revoked over HTTP. */
  readonly managesTokens: boolean;
  readonly timeoutMs: number;
  /** Event streams, of all tokens together. */
  readonly maxListeners: number;
  readonly defaultAgent: string | undefined;
  /** Whether a pull under /agents ends with its last client. */
  readonly cancelsOnDisconnect: boolean;
  readonly catalog: Catalog;
  /** The registries that are asked for newer models. */
  readonly registries: Omit<PublishedModelsOptions, "clock">;
  /** Null: it runs no mirror. */
  readonly mirror: MirrorSettings | null;
  /** The file that the fleet is kept to; null: no file. */
  readonly desired: DesiredSettings | null;
  /** The platform's own; null: there are only own tokens. */
  readonly login: Login | null;
  /** Null: commands are not signed. */
  readonly signingKey: SigningKey | null;
  /** Whose documents and responses are verified; undefined: all with operators, otherwise those of known agents. */
  readonly verifyAgents: VerifyMode | undefined;
  /** Null: events are sent nowhere. */
  readonly webhooks: WebhookSettings | null;
  /** The folder with the mirror whose models are served; null: none are. */
  readonly servedMirror: string | null;
  /** The paths of the file with the operators' keys, and of the roster that is kept; null: no operator is trusted. */
  readonly operators: { readonly keys: string; readonly roster: string } | null;
}

export interface ServerParts {
  /** In order: of two agents with the same name, the first one's counts. */
  readonly transports: readonly [Transport, ...Transport[]];
  readonly database: Database;
  /** What this server shares with others, of which the database is a copy; null: it is alone. */
  readonly shared: SharedStore | null;
  readonly service: ServiceManager;
  readonly log: Log;
  readonly stop: AbortSignal;
}

/** Active requests may take this long to finish after the stop signal. */
const GRACE_MS = 10_000;
const LEAVE_MS = 2500;
/** A legacy service may take longer than the timeout: see the courier. */
const LONGEST_OLD_REQUEST_MS = 12_000;

/**
 * Serves until `stop` aborts, then finishes active requests and closes everything but the database.
 * @throws CourierError `forbidden`, before anything is opened, when other machines could connect and no token exists;
 *   `unavailable` when the operators' keys cannot be used
 */
export async function runServer(
  settings: ServerSettings,
  { transports, database, shared, service, log, stop }: ServerParts,
): Promise<void> {
  const measures = new Measures(systemClock);
  const tokens = shared?.tokens ?? new Tokens(database, systemClock);
  if (settings.login === null) requireTokens(tokens, settings.address, log);
  if (settings.signingKey !== null) log.info({ key: settings.signingKey.id }, "Commands are signed");
  const roster = openRoster(settings, log);
  const mode = settings.verifyAgents ?? (roster === null ? "known" : "all");
  const agents = new KnownAgents(mode, roster ?? undefined, mostStatesOf(transports));
  const transport = openWhole(transports, { agents, measures, log });
  const services = assemble(settings, { transport, database, shared, tokens, roster, agents, measures, log });
  if (roster !== null) void new RosterReading({ transport, kept: roster, clock: systemClock, log }).run(stop);
  const { keeper, webhooks, mirror, desired } = services;
  const parts = [keeper, webhooks, desired, mirror?.fetches, shared];
  const working = Promise.all(parts.map(async (part) => await part?.run(stop)));
  const listeners = openListeners(settings, services);
  const connecting = services.connection.open(stop);
  await Promise.race([services.connection.lookedFor(), systemClock.sleep(FIRST_LOOK_MS, stop)]);
  service.ready();
  const { readiness } = services;
  const [{ url }] = listeners;
  const { login } = settings;
  await checkItself({ url, readiness, login, webhooks, transport, service, clock: systemClock, log }, stop);
  service.stopping();
  log.info({}, "Stopping");
  // Event streams never end by themselves. Their listeners reconnect to the next server.
  services.jobFeed.close();
  await Promise.all(listeners.map(async (listener) => await listener.close(GRACE_MS)));
  services.refusedLogins.close();
  await working;
  await within(systemClock, LEAVE_MS, takeLeave(services, transport, connecting), null);
  log.info({}, "Stopped");
}

/** Gives the reply address up. If the share is gone or hangs, the sweep removes the address later. */
async function takeLeave(
  { courier, fleet, log }: WholeServices,
  transport: Transport,
  connecting: Promise<void>,
): Promise<void> {
  await connecting;
  await fleet.close();
  await courier.close().catch((error: unknown) => log.warn({ error }, "Cannot give up the reply address"));
  await transport.close();
}

/** One transport, each of whose calls is timed. */
function openWhole(
  transports: ServerParts["transports"],
  { agents, measures, log }: Pick<Foundations, "agents" | "measures" | "log">,
): Transport {
  const whole = several(transports, { keys: agents, clock: systemClock, log });
  return new TimedTransport(whole, { operations: measures.operations, clock: systemClock });
}

function openRoster({ operators }: ServerSettings, log: Log): KeptRoster | null {
  if (operators === null) return null;
  const keys = operatorKeysFile(operators.keys);
  if (keys.trouble !== null) throw keys.trouble;
  return new KeptRoster({ operators: keys, path: operators.roster, clock: systemClock, log });
}

interface Foundations extends Pick<ServerParts, "database" | "shared" | "log"> {
  readonly transport: Transport;
  readonly tokens: TokenStore;
  /** Null: no operator is trusted. */
  readonly roster: KeptRoster | null;
  /** Their keys. */
  readonly agents: KnownAgents;
  readonly measures: Measures;
  /** By default the system's. */
  readonly clock?: Clock;
}

function assemble(settings: ServerSettings, parts: Foundations): WholeServices {
  const { transport, database, shared, tokens, roster, agents, measures, clock = systemClock, log } = parts;
  const { timeoutMs, maxListeners, defaultAgent, cancelsOnDisconnect, catalog, login, signingKey } = settings;
  const entrance = openEntrance(settings, { database, shared, tokens, log });
  const fleet = new WatchedFleet({ transport, clock, log, agents });
  const audit = new AuditLog(database, clock);
  const recorder = new Recorder({ audit, keyId: () => signingKey?.id ?? null, log });
  const trust = { signingKey, witness: recorder, agents };
  const courier = new Courier(transport, { sender: "server", timeoutMs, ...trust, waits: measures, clock, log, fleet });
  const connection = new Connection({ transport, fleet, clock, log });
  const endedJobs = shared?.ends ?? new EndedJobs(database, courier);
  const given = { measures, catalog, defaultAgent, cancelsOnDisconnect, clock, log };
  const kept = openKept({ database, shared, clock });
  const jobFeed = new JobFeed({ fleet, courier, ended: endedJobs, clock, log });
  const own = ownMirror(settings, clock);
  return {
    ...given,
    ...openModels(settings, own, { ...given, ...kept, jobFeed, fleet, courier, connection, agents, recorder }),
    fleet,
    courier,
    keeper: new Keeper({ agents, store: kept.knownAgents, clock, log }),
    ...openQuestions({ courier, clock }),
    connection,
    readiness: new Readiness({ connection, fleet, clock }),
    examination: new Examination({ transport, courier, roster, store: shared, mirror: own, clock }),
    authenticator: new Authenticator({ ...entrance, notes: entrance.tokenNotes, login, clock }),
    tickets: new Tickets({ clock }),
    refusedLogins: new RefusedLogins({ clock, log }),
    audit,
    recorder,
    ...entrance,
    activeModels: kept.activeModels,
    refusedJobs: kept.refusedJobs,
    endedJobs,
    jobFeed,
    webhooks: new Webhooks(settings.webhooks, { ...given, ...kept, feed: jobFeed, ended: endedJobs, fleet }),
    listeners: new Listeners(maxListeners),
    lists: new RenderedLists(),
  };
}

/** The one that it fills, serves and examines: its guard leaves threads to others only if all of them have the same. */
function ownMirror({ mirror, servedMirror }: ServerSettings, clock: Clock) {
  const folder = mirror?.share ?? servedMirror;
  return folder === null ? null : { mirror: new Mirror(folder, mirrorGuard(clock)), isFilled: mirror !== null };
}

type ModelParts = Omit<MirrorParts, "registries"> & Omit<KeptFleetDeps, "publishedModels">;

/** What brings models to the boxes. */
function openModels(settings: ServerSettings, own: ReturnType<typeof ownMirror>, parts: ModelParts) {
  const { registries, desired, mirror, servedMirror } = settings;
  const publishedModels = new PublishedModels({ ...registries, clock: parts.clock });
  return {
    publishedModels,
    desired: new KeptFleet(desired, { ...parts, publishedModels }),
    mirror: mirror && own && openMirror(mirror, own.mirror, { ...parts, registries }),
    mirrorFiles: servedMirror !== null && own !== null ? new MirrorFiles(own.mirror) : null,
  };
}

/** In the store that servers share, or this server's own. */
function openKept({ database, shared, clock }: Pick<Foundations, "database" | "shared"> & { readonly clock: Clock }) {
  return {
    database,
    knownAgents: shared?.knownAgents ?? new StoredKnownAgents(database),
    activeModels: shared?.activeModels ?? new ActiveModels(database),
    refusedJobs: shared?.refusedJobs ?? new RefusedJobs(database, clock),
    shared: shared?.webhooks ?? null,
    desiredLease: shared?.desiredLease ?? null,
  };
}

/** What decides who comes in with a browser, and from where. */
function openEntrance(settings: ServerSettings, parts: Pick<Foundations, "database" | "shared" | "tokens" | "log">) {
  const { console, managesTokens } = settings;
  const { database, shared, tokens } = parts;
  const clock = systemClock;
  return {
    tokens,
    tokenNotes: new TokenNotes({ ...parts, clock }),
    sessions: console ? new Sessions({ store: shared?.sessions ?? new StoredSessions(database), tokens, clock }) : null,
    sessionCookie: new SessionCookie(settings),
    proxies: new TrustedProxies(settings.trustedProxies),
    managesTokens,
    setup: () => setupFacts(settings),
  };
}

/** The file of the operators' keys may have changed. @throws CourierError `unavailable` when it cannot be used */
function setupFacts({ newBoxesOn, natsPrefix, signingKey, operators }: ServerSettings): SetupFacts {
  const own = signingKey === null || operators !== null ? [] : [publicLine(signingKey, `server@${hostname()}`)];
  return {
    address: newBoxesOn,
    natsPrefix,
    trustedKeys: own,
    operatorKeys: operators === null ? [] : operatorKeysFile(operators.keys).lines(),
  };
}

/** @returns the API's listener first */
function openListeners(settings: ServerSettings, services: WholeServices): [Listener, ...Listener[]] {
  const requestMs = Math.max(settings.timeoutMs, LONGEST_OLD_REQUEST_MS, MAX_WAIT_S * 1000);
  const trusted = openTrustedListener(settings, services, requestMs);
  const main = listen(settings.address, createApi(services, settings.corsOrigins).fetch, requestMs);
  services.log.info({ url: main.url, version: VERSION }, "Listening");
  return trusted === undefined ? [main] : [main, trusted];
}

function openTrustedListener(
  { trustedAddress: address, trustedHosts }: ServerSettings,
  services: WholeServices,
  requestMs: number,
): Listener | undefined {
  if (address === undefined) return undefined;
  const api = createTrustedApi(services, new TrustedHosts(address.host, trustedHosts));
  const listener = listen(address, api.fetch, requestMs);
  services.log.info({ url: listener.url }, "Listening without tokens");
  if (!isLoopback(address.host)) {
    const hint = "Anyone who reaches it can pull and delete models: use 127.0.0.1, or a firewall";
    services.log.warn({ url: listener.url, hint }, "Other machines may reach the listener without tokens");
  }
  return listener;
}

function requireTokens(tokens: TokenStore, { host }: Address, log: Log): void {
  if (tokens.list().length > 0) return;
  const hint = "Add one first: gpu-server token add NAME --role gp";
  if (!isLoopback(host)) throw new CourierError("forbidden", `Cannot listen on ${host}: no token exists yet`, { hint });
  log.warn({ hint }, "No token exists yet: every request will be refused");
}
