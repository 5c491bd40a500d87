// The rows of gpu-server.

const BASE = ["src/base/*.ts", "src/protocol.ts"];
const SEAM = [...BASE, "src/transport.ts"];
const ADDRESS = "src/transport/address.ts";
const COURIER = ["src/courier.ts", "src/courier/*.ts", "src/documents/{*,models/*}.ts"];
const TRUST = ["src/trust/*.ts"];
const KNOWN_AGENTS = "src/trust/agents/*.ts";
const ROSTER = "src/trust/roster/*.ts";
const ALL_TRUST = [...TRUST, KNOWN_AGENTS, ROSTER];
const CALLER = "src/server/access/{authenticator,caller}.ts";
const INTROSPECTION = "src/server/access/login/introspection/*.ts";
const OPEN = "src/transport/open.ts";
const SEVERAL = "src/transport/several.ts";
const REGISTRY = "src/program/registry/*.ts";
const MIRROR = "src/transport/mirror/*.ts";
const MIRROR_READING = "src/transport/mirror/reading/*.ts";
const METRICS = "src/program/metrics/*.ts";
const server = (folders: string): string[] => folders.split(" ").map((folder) => `src/server/${folder}/*.ts`);

/** In the order in which they count. */
export const SERVER_ROWS: readonly { readonly files: string; readonly may: readonly string[] }[] = [
  {
    files: "src/server/store/shared/logs/*.ts",
    may: [
      ...BASE,
      "src/transport/nats/calls/log_stream.ts",
      "src/server/audit/{audit_copy,audit_log}.ts",
      ...server("store webhooks/queue"),
    ],
  },
  {
    files: "src/server/store/shared/*.ts",
    may: [
      ...BASE,
      "src/program/flags.ts",
      "src/transport/nats/{layout,options}.ts",
      "src/transport/nats/calls/{bucket,connection,log_stream,streams}.ts",
      KNOWN_AGENTS,
      ...server("store store/shared/logs"),
    ],
  },
  { files: "src/server/store/*.ts", may: [...BASE, KNOWN_AGENTS] },
  { files: "src/server/access/trust_flags.ts", may: ["src/program/flags.ts", KNOWN_AGENTS] },
  {
    files: "src/server/access/flag_values.ts",
    may: [...BASE, "src/program/flags.ts", "src/server/audit/since.ts", ...server("access")],
  },
  {
    files: "src/server/access/*.ts",
    may: [...BASE, "src/courier/named.ts", ...server("store store/shared access/sessions")],
  },
  {
    files: "src/server/access/sessions/*.ts",
    may: [
      ...BASE,
      "src/program/flags.ts",
      CALLER,
      "src/server/access/trusted_proxies.ts",
      ...server("store store/shared"),
    ],
  },
  {
    files: INTROSPECTION,
    may: [...BASE, CALLER, "src/server/access/login/{admission,claims,question,trouble}.ts"],
  },
  {
    files: "src/server/access/login/*.ts",
    may: [...BASE, "src/trust/file_safety.ts", "src/program/flags.ts", CALLER, INTROSPECTION, ...server("store")],
  },
  {
    files: "src/server/v1/schema/*.ts",
    may: ["package.json", ...BASE, ...COURIER, KNOWN_AGENTS, ...server("fleet/lists http limits")],
  },
  {
    files: "src/server/http/guard/*.ts",
    may: [...BASE, "src/program/flags.ts", ...server("access access/sessions http limits store")],
  },
  {
    files: "src/server/http/self_check.ts",
    may: [...SEAM, "src/program/service_manager.ts", ...server("access http http/guard")],
  },
  {
    files: "src/server/http/*.ts",
    may: [
      ...BASE,
      "src/{documents/{problem,unavailable},courier/unavailable}.ts",
      ...server("access http/guard limits store"),
    ],
  },
  {
    files: "src/server/{audit,webhooks}/route.ts",
    may: [
      ...BASE,
      ...COURIER,
      "src/server/services.ts",
      "src/server/v1/schema/*.ts",
      ...server("access audit http http/guard fleet/lists webhooks webhooks/queue"),
    ],
  },
  {
    files: "src/server/webhooks/{queue,http}/*.ts",
    may: [...BASE, "src/program/flags.ts", "src/server/webhooks/{events,documents,settings}.ts"],
  },
  {
    files: "src/server/webhooks/*.ts",
    may: [
      ...BASE,
      ...COURIER,
      "src/program/flags.ts",
      "src/courier/index/watched_fleet.ts",
      "src/server/access/login/settings_file.ts",
      "src/server/fleet/job_feed.ts",
      ...server("store webhooks/queue webhooks/http"),
    ],
  },
  {
    files: "src/server/audit/*.ts",
    may: [...BASE, "src/{documents/audit,courier/{mailbox/mailbox,requests}}.ts", ...server("access http store")],
  },
  {
    files: "src/server/limits/examination.ts",
    may: [...SEAM, ...COURIER, ROSTER, MIRROR_READING, "src/{doctor/report,server/limits/shared_answers}.ts"],
  },
  { files: "src/server/fleet/connection.ts", may: [...SEAM, "src/courier/index/share_away.ts"] },
  {
    files: "src/server/fleet/*.ts",
    may: [
      ...SEAM,
      "src/courier.ts",
      "src/courier/{*,index/watched_fleet,index/indexed_fleet}.ts",
      "src/{documents/jobs,server/http/problem}.ts",
      ...server("limits store"),
    ],
  },
  {
    files: "src/server/limits/*.ts",
    may: [...BASE, "src/courier.ts", "src/courier/*.ts", ...server("access store")],
  },
  { files: "src/server/models/mirror/flags.ts", may: [...BASE, ADDRESS, "src/program/flags.ts"] },
  {
    files: "src/server/models/mirror/*.ts",
    may: [
      ...BASE,
      ...COURIER,
      REGISTRY,
      MIRROR,
      "src/{courier/index/share_away,transport/mirror/reading/guard}.ts",
      "src/server/{services,access/route_needs,audit/recorder,fleet/*,http/*,limits/shared_answers}.ts",
      "src/server/v1/schema/*.ts",
    ],
  },
  { files: "src/server/models/desired/flags.ts", may: [...BASE, "src/program/flags.ts"] },
  {
    files: "src/server/models/desired/*.ts",
    may: [
      ...BASE,
      ...COURIER,
      "src/courier/index/{watched_fleet,share_away}.ts",
      KNOWN_AGENTS,
      "src/program/{desired/*,registry/published}.ts",
      "src/server/{services,audit/recorder,http/env,v1/schema/*}.ts",
    ],
  },
  {
    files: "src/server/models/mirror_files/*.ts",
    may: [
      ...BASE,
      REGISTRY,
      MIRROR,
      MIRROR_READING,
      "src/server/services.ts",
      ...server("access http http/guard limits"),
    ],
  },
  {
    files: "src/server/models/*/*.ts",
    may: ["src/base/model_name.ts", ...COURIER, "src/server/{services,fleet/*,http/*,v1/schema/*}.ts"],
  },
  { files: "src/server/fleet/lists/*.ts", may: ["src/base/{errors,order}.ts", "src/courier/unavailable.ts"] },
  {
    files: "src/server/services.ts",
    may: [
      ...BASE,
      "src/{courier,program/registry/published,documents/models/desired}.ts",
      "src/server/models/{mirror/{scoped_mirror,server_mirror},mirror_files/mirror_files,desired/kept_fleet}.ts",
      "src/courier/{*,index/watched_fleet,index/indexed_fleet}.ts",
      "src/server/{fleet/{connection,job_feed,lists/rendered},platform/catalog,metrics/measures}.ts",
      KNOWN_AGENTS,
      ...server("access access/sessions audit store http http/guard limits webhooks"),
    ],
  },
  {
    files: "src/server/scope/*.ts",
    may: [
      ...BASE,
      "src/{courier/{agent_view,index/{scoped_fleet,share_away}},documents/models/desired}.ts",
      "src/server/{services,fleet/job_feed,models/mirror/scoped_mirror}.ts",
      ...server("access limits"),
    ],
  },
  {
    files: "src/server/metrics/{measures,timed_requests,timed_transport}.ts",
    may: [...SEAM, METRICS, "src/server/metrics/measures.ts", ...server("http")],
  },
  {
    files: "src/server/metrics/*.ts",
    may: [
      ...BASE,
      "src/{courier/{agent_view,index/fleet_index},program/flags,documents/models/desired,server/{services,webhooks/documents}}.ts",
      METRICS,
      ...server("access http store v1/schema"),
    ],
  },
  { files: "src/server/{http/docs,console}/*.ts", may: server("http fleet/lists") },
  { files: "src/server/platform/catalog.{ts,json}", may: [...BASE, "src/server/platform/catalog.json"] },
  {
    files: "src/server/v1/{session,tokens}.ts",
    may: [
      ...BASE,
      "src/documents/named.ts",
      "src/server/services.ts",
      ...server("access access/sessions http http/guard store v1/schema"),
    ],
  },
  {
    files: "src/server/v1/setup.ts",
    may: [ADDRESS, "src/{program/flags,server/services}.ts", ...server("http v1/schema")],
  },
  {
    files: "src/server/v1/active_models.ts",
    may: [
      ...BASE,
      "src/documents/{named,models/fit}.ts",
      "src/server/{services,platform/{catalog,installed_name}}.ts",
      ...server("http store v1/schema"),
    ],
  },
  {
    files: "src/server/{v1,platform}/*.ts",
    may: [
      ...BASE,
      ...COURIER,
      KNOWN_AGENTS,
      "src/{courier/index/share_away,server/{services,access/route_needs,models/mirror/via_mirror}}.ts",
      ...server("http http/guard limits store fleet fleet/lists v1/schema"),
    ],
  },
  { files: "src/server/ollama/flags.ts", may: ["src/program/flags.ts"] },
  {
    files: "src/server/ollama/*.ts",
    may: [
      ...BASE,
      "src/protocol/keep_alive.ts",
      ...COURIER,
      "src/server/services.ts",
      ...server("access http http/guard fleet"),
    ],
  },
  {
    files: "src/server/api.ts",
    may: [
      "src/{base/*,program/*,server/services}.ts",
      ...server(
        "access audit console http http/{docs,guard} limits fleet/lists models/{desired,fit,mirror,mirror_files,updates} metrics ollama scope v1 v1/schema platform webhooks",
      ),
    ],
  },
  {
    files: "src/server/run.ts",
    may: [
      ...SEAM,
      SEVERAL,
      ...ALL_TRUST,
      "src/courier.ts",
      "src/courier/{*,index/watched_fleet}.ts",
      "src/program/{*,registry/*}.ts",
      "src/server/models/desired/{flags,kept_fleet}.ts",
      MIRROR,
      MIRROR_READING,
      "src/server/{api,services,fleet/{connection,job_feed,lists/rendered},platform/catalog}.ts",
      ...server(
        "access access/sessions audit http http/guard limits metrics models/{mirror,mirror_files} store store/shared webhooks",
      ),
    ],
  },
  {
    files: "src/server.ts",
    may: [
      ...BASE,
      ...ALL_TRUST,
      "src/program/{*,registry/*}.ts",
      "src/transport.ts",
      OPEN,
      SEVERAL,
      "src/server/{run,models/{desired,mirror}/flags,ollama/flags,platform/catalog,fleet/seen_state}.ts",
      ...server("access access/{login,sessions} audit http http/guard limits store store/shared webhooks"),
    ],
  },
];
