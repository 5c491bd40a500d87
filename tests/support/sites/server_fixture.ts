// The server's apps on a memory store, without a socket, with a token of each role. For tests of src/server/.
import type { Database } from "bun:sqlite";
import { rm } from "node:fs/promises";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { type Log, silentLog } from "#src/base/log.ts";
import { WatchedFleet } from "#src/courier/index/watched_fleet.ts";
import { Courier } from "#src/courier.ts";
import { type DesiredDocument, NOTHING_DESIRED } from "#src/documents/models/desired.ts";
import { PublishedModels } from "#src/program/registry/published.ts";
import { DEFAULT_REGISTRIES } from "#src/program/registry/registry_host.ts";
import { Authenticator, type Login } from "#src/server/access/authenticator.ts";
import { Sessions } from "#src/server/access/sessions/sessions.ts";
import { Tickets } from "#src/server/access/tickets.ts";
import { TrustedProxies } from "#src/server/access/trusted_proxies.ts";
import { createApi, createTrustedApi } from "#src/server/api.ts";
import { AuditLog } from "#src/server/audit/audit_log.ts";
import { Recorder } from "#src/server/audit/recorder.ts";
import { Connection } from "#src/server/fleet/connection.ts";
import { JobFeed } from "#src/server/fleet/job_feed.ts";
import { RenderedLists } from "#src/server/fleet/lists/rendered.ts";
import { RefusedLogins } from "#src/server/http/guard/refused_logins.ts";
import { SessionCookie } from "#src/server/http/guard/session_cookie.ts";
import { TrustedHosts } from "#src/server/http/guard/trusted_hosts.ts";
import { Readiness } from "#src/server/http/readiness.ts";
import { Examination } from "#src/server/limits/examination.ts";
import { FreshLists } from "#src/server/limits/fresh_lists.ts";
import { JobQuestions } from "#src/server/limits/job_questions.ts";
import { Listeners, MAX_LISTENERS } from "#src/server/limits/listeners.ts";
import { ModelQuestions } from "#src/server/limits/model_questions.ts";
import { Measures } from "#src/server/metrics/measures.ts";
import { openMirror } from "#src/server/models/mirror/open.ts";
import type { MirrorFiles } from "#src/server/models/mirror_files/mirror_files.ts";
import { readCatalog } from "#src/server/platform/catalog.ts";
import type { WholeServices } from "#src/server/services.ts";
import { ActiveModels } from "#src/server/store/active_models.ts";
import { EndedJobs } from "#src/server/store/ended_jobs.ts";
import { StoredKnownAgents } from "#src/server/store/known_agents.ts";
import { RefusedJobs } from "#src/server/store/refused_jobs.ts";
import { StoredSessions } from "#src/server/store/sessions.ts";
import { openStore } from "#src/server/store/store.ts";
import { TokenNotes } from "#src/server/store/token_notes.ts";
import { Tokens } from "#src/server/store/tokens.ts";
import { Webhooks } from "#src/server/webhooks/webhooks.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { Mirror } from "#src/transport/mirror/mirror.ts";
import { mirrorGuard } from "#src/transport/mirror/reading/guard.ts";
import type { Transport } from "#src/transport.ts";
import { Keeper } from "#src/trust/agents/keeper.ts";
import { KnownAgents } from "#src/trust/agents/known_agents.ts";
import { memoryDir } from "#tests/support/memory_dir.ts";

export interface Call {
  /** Sent as JSON, unless it is text or a stream of it. */
  readonly body?: unknown;
  /** Null sends none; the default is the `gp` token. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Where it comes from. */
  readonly peer?: string;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into documents of any shape
  readonly body: any;
}

export interface ServerUnderTest extends AsyncDisposable {
  readonly store: MemoryStore;
  readonly services: WholeServices;
  readonly database: Database;
  readonly tokens: Tokens;
  readonly transport: Transport;
  readonly gp: string;
  readonly viewer: string;
  /** Those with tokens, as hono has them: `GET /v1/agents/:agent`. */
  readonly routes: readonly string[];
  call(method: string, path: string, call?: Call): Promise<Answered>;
  /** As `call()`, with the response as it is: the body of an event stream does not end. */
  request(method: string, path: string, call?: Call): Promise<Response>;
  callTrusted(method: string, path: string, call?: Call): Promise<Answered>;
}

/** @param reached false: the share is not there (yet) */
export async function openServer({
  store = new MemoryStore(),
  reached = true,
  timeoutMs = 2000,
  defaultAgent,
  clock = systemClock,
  log = silentLog,
  login = null,
  corsOrigins = [],
  console = true,
  publicUrl = null,
  trustedProxies = [],
  managesTokens = false,
  cancelsOnDisconnect = false,
  insecureRegistries = [],
  desired = NOTHING_DESIRED,
  mirrorShare,
  mirrorFiles = null,
}: {
  store?: MemoryStore;
  reached?: boolean;
  timeoutMs?: number;
  defaultAgent?: string;
  clock?: Clock;
  log?: Log;
  login?: Login | null;
  corsOrigins?: readonly string[];
  console?: boolean;
  publicUrl?: URL | null;
  trustedProxies?: readonly string[];
  managesTokens?: boolean;
  cancelsOnDisconnect?: boolean;
  /** The only ones that it asks for newer models. */
  insecureRegistries?: readonly string[];
  desired?: DesiredDocument;
  /** The path of a share on which it runs a mirror; what it fetches waits for `run()`. */
  mirrorShare?: string | undefined;
  mirrorFiles?: MirrorFiles | null;
} = {}): Promise<ServerUnderTest> {
  const stateDir = memoryDir("gpu-courier-server-");
  const database = openStore(stateDir);
  const tokens = new Tokens(database, systemClock);
  const transport = store.open();
  const agents = new KnownAgents();
  const fleet = new WatchedFleet({ transport, clock, log: silentLog, agents });
  const measures = new Measures(clock);
  const audit = new AuditLog(database, clock);
  const recorder = new Recorder({ audit, keyId: () => null, log });
  const courier = new Courier(transport, {
    sender: "server",
    timeoutMs,
    witness: recorder,
    waits: measures,
    clock,
    agents,
    fleet,
  });
  const connection = new Connection({ transport, fleet, clock: systemClock, log: silentLog });
  const endedJobs = new EndedJobs(database, courier);
  const tokenNotes = new TokenNotes({ database, clock, log });
  const sessions = console ? new Sessions({ store: new StoredSessions(database), tokens, clock }) : null;
  const jobFeed = new JobFeed({ fleet, courier, ended: endedJobs, clock, log });
  const refusedJobs = new RefusedJobs(database, systemClock);
  const registries = { allowed: DEFAULT_REGISTRIES, insecure: insecureRegistries };
  const mirrored = { database, registries, refusedJobs, jobFeed, courier, connection, recorder, clock, log };
  const own = mirrorShare === undefined ? null : new Mirror(mirrorShare, mirrorGuard(clock));
  const services: WholeServices = {
    fleet,
    courier,
    keeper: new Keeper({ agents, store: new StoredKnownAgents(database), clock, log }),
    modelQuestions: new ModelQuestions({ courier, clock }),
    jobQuestions: new JobQuestions({ courier, clock }),
    freshLists: new FreshLists({ courier, clock }),
    connection,
    readiness: new Readiness({ connection, fleet, clock }),
    examination: new Examination({ transport, courier, roster: null, store: null, clock }),
    authenticator: new Authenticator({ tokens, notes: tokenNotes, login, sessions, clock }),
    tickets: new Tickets({ clock }),
    refusedLogins: new RefusedLogins({ clock, log }),
    audit,
    measures,
    recorder,
    sessions,
    sessionCookie: new SessionCookie({ publicUrl, corsOrigins }),
    proxies: new TrustedProxies(trustedProxies),
    managesTokens,
    tokens,
    tokenNotes,
    setup: () => ({ address: "/mnt/shared", trustedKeys: [], operatorKeys: [] }),
    activeModels: new ActiveModels(database),
    refusedJobs,
    endedJobs,
    jobFeed,
    webhooks: new Webhooks(null, { database, feed: jobFeed, ended: endedJobs, fleet, clock, log, shared: null }),
    listeners: new Listeners(MAX_LISTENERS),
    mirrorFiles,
    lists: new RenderedLists(),
    catalog: readCatalog(undefined),
    publishedModels: new PublishedModels({ allowed: [], insecure: insecureRegistries, clock }),
    mirror: own && openMirror({ bytesPerSecond: null }, own, mirrored),
    desired: { document: () => desired, run: async () => undefined },
    defaultAgent,
    cancelsOnDisconnect,
    clock,
    log,
  };
  if (reached) await services.connection.open(new AbortController().signal);
  const gp = tokens.add("platform", "gp");
  const api = createApi(services, corsOrigins);
  const trusted = createTrustedApi(services, new TrustedHosts("127.0.0.1", ["gpu.example.org"]));
  const ask = async (
    app: typeof api,
    method: string,
    path: string,
    { body, token = gp, headers = {}, peer = "192.0.2.1" }: Call = {},
  ) => {
    const sent = new Headers(headers);
    if (token !== null) sent.set("authorization", `Bearer ${token}`);
    if (body !== undefined && !sent.has("content-type")) sent.set("content-type", "application/json");
    const isWhole = typeof body === "string" || body === undefined || body instanceof ReadableStream;
    const text = isWhole ? body : JSON.stringify(body);
    const init = { method, headers: sent, ...(text === undefined ? {} : { body: text }) };
    return await app.request(path, init, { requestIP: () => ({ address: peer }) });
  };
  return {
    store,
    services,
    database,
    tokens,
    transport,
    gp,
    viewer: tokens.add("dashboard", "viewer"),
    routes: api.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) => `${method} ${path}`),
    request: async (method, path, call) => await ask(api, method, path, call),
    call: async (method, path, call) => await answered(await ask(api, method, path, call)),
    callTrusted: async (method, path, call) =>
      await answered(await ask(trusted, method, path, { token: null, ...call })),
    async [Symbol.asyncDispose]() {
      await services.courier.close();
      await transport.close();
      database.close();
      await rm(stateDir, { recursive: true });
    },
  };
}

async function answered(response: Response): Promise<Answered> {
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
}
