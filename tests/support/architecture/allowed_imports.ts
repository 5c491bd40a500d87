// The imports that tests/architecture/architecture_test.ts allows: a row for each folder and entry file of src/.

import { TRANSPORT_ROWS } from "./allowed_transport_imports.ts";

const BASE = ["src/base/*.ts", "src/protocol.ts"];
const SEAM = [...BASE, "src/transport.ts"];
const ADDRESS = "src/transport/address.ts";
const COURIER = ["src/courier.ts", "src/courier/*.ts", "src/documents/*.ts"];
const TRUST = ["src/trust/*.ts"];
const KNOWN_AGENTS = "src/trust/agents/*.ts";
const ROSTER = "src/trust/roster/*.ts";
const ALL_TRUST = [...TRUST, KNOWN_AGENTS, ROSTER];
const CALLER = "src/server/access/{authenticator,caller}.ts";
const INTROSPECTION = "src/server/access/login/introspection/*.ts";
const DOCTOR = "src/{doctor/*,program/style}.ts";
const IN_VERBS = "src/client/{io,session,fleet_courier,base_command,box_clock,verbs/jobs/*,asking/*,pulls/*,help/*}.ts";
const OPEN = "src/transport/open.ts";
const SEVERAL = "src/transport/several.ts";
const REGISTRY = "src/program/registry/*.ts";
const METRICS = "src/program/metrics/*.ts";

/** `inside("src/agent", "disk ledger")`: the files of these folders. */
function inside(parent: string, folders: string): string[] {
  return folders.split(" ").map((folder) => `${parent}/${folder}/*.ts`);
}

const agent = (folders: string): string[] => inside("src/agent", folders);
const server = (folders: string): string[] => inside("src/server", folders);
const IN_PAGE = [...BASE, "src/documents/*.ts"];
const page = (folders: string): string[] => folders.split(" ").map((folder) => `src/console/${folder}/*`);
const CLIENT = [...SEAM, ADDRESS, ...ALL_TRUST, ...COURIER, "src/doctor/*.ts", "src/program/*.ts", REGISTRY];

/**
 * Every file under src/ and what of the project it may import; the first row that fits counts. A folder may always import
 * from itself. Arrows point one way. A new file without a row fails.
 */
export const ROWS: readonly { readonly files: string; readonly may: readonly string[] }[] = [
  { files: "src/base/*.ts", may: [] },
  { files: "src/protocol/*.ts", may: ["src/base/errors.ts"] },
  { files: "src/protocol.ts", may: ["src/base/{errors,foreign_text}.ts", "src/protocol/*.ts"] },
  { files: METRICS, may: BASE },
  { files: REGISTRY, may: [...BASE, "src/program/flags.ts"] },
  { files: "src/program/*.ts", may: ["package.json", "src/base/{errors,format,invisible,log}.ts"] },
  { files: "src/trust/*.ts", may: BASE },
  { files: KNOWN_AGENTS, may: [...BASE, ...TRUST] },
  { files: ROSTER, may: [...SEAM, ...TRUST] },

  ...TRANSPORT_ROWS,

  // The platform side over any transport.
  {
    files: "src/courier/index/*.ts",
    may: [
      ...SEAM,
      KNOWN_AGENTS,
      "src/courier/{agent_view,describe_view,fleet_model,unavailable,fleet,verified_states}.ts",
    ],
  },
  { files: "src/courier/mailbox/*.ts", may: [...SEAM, ...ALL_TRUST] },
  { files: "src/courier/*.ts", may: [...SEAM, ...ALL_TRUST, "src/courier/mailbox/*.ts"] },
  { files: "src/courier.ts", may: [...SEAM, ...ALL_TRUST, "src/courier/{*,mailbox/*}.ts"] },
  {
    files: "src/documents/*.ts",
    may: [
      "src/{base/{check,clock,errors,glob,model_name},protocol,courier/*,program/registry/published}.ts",
      KNOWN_AGENTS,
    ],
  },
  {
    files: "src/doctor/*.ts",
    may: [
      "src/base/{check,clock,clock_check,errors,format,order}.ts",
      "src/{protocol,transport,courier,documents/doctor,program/style}.ts",
      "src/courier/{agent_view,describe_view,named,selection}.ts",
      KNOWN_AGENTS,
      ROSTER,
    ],
  },

  // gpu-agent.
  { files: "src/agent/{ollama,disk,ledger}/*.ts", may: [...BASE, REGISTRY] },
  { files: "src/agent/box.ts", may: [...BASE, ...agent("disk")] },
  { files: "src/agent/pulls/*.ts", may: [...BASE, REGISTRY, "src/agent/box.ts", ...agent("ollama disk ledger")] },
  { files: "src/agent/models/*.ts", may: [...BASE, ...agent("ollama disk ledger pulls")] },
  { files: "src/agent/presence/*.ts", may: [...SEAM, ...TRUST, METRICS] },
  {
    files: "src/agent/commands/*.ts",
    may: [...SEAM, REGISTRY, ...TRUST, ROSTER, ...agent("ollama disk ledger pulls models presence")],
  },
  { files: "src/agent/{changes,sweeping}.ts", may: SEAM },
  { files: "src/agent/trust/*.ts", may: [...SEAM, ...TRUST, ROSTER] },
  {
    files: "src/agent/examine.ts",
    may: [...BASE, REGISTRY, ...TRUST, ROSTER, ...agent("ollama disk ledger presence trust")],
  },
  {
    files: "src/agent/doctor.ts",
    may: [...SEAM, ...COURIER, ROSTER, DOCTOR, "src/agent/{examine,run}.ts", ...agent("ollama disk trust")],
  },
  {
    files: "src/agent/*.ts",
    may: [
      ...SEAM,
      ...TRUST,
      ROSTER,
      "src/program/{*,registry/*}.ts",
      "src/agent/{changes,box,sweeping,agent,assemble}.ts",
      ...agent("ollama disk ledger pulls models presence commands trust"),
    ],
  },
  {
    files: "src/agent.ts",
    may: [
      "src/base/*.ts",
      ...TRUST,
      "src/program/{*,registry/*}.ts",
      ADDRESS,
      OPEN,
      "src/agent/{run,doctor,examine,verify_release}.ts",
      "src/agent/{models/protection,presence/{drain_file,identity,labels},trust/share_time_file}.ts",
    ],
  },

  // gpu-server.
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
    may: [...BASE, ...COURIER, KNOWN_AGENTS, ...server("fleet/lists http limits")],
  },
  {
    files: "src/server/http/guard/*.ts",
    may: [...BASE, ...server("access access/sessions http limits store")],
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
    may: [...SEAM, ...COURIER, ROSTER, "src/{doctor/report,server/limits/shared_answers}.ts"],
  },
  { files: "src/server/fleet/connection.ts", may: [...SEAM, "src/courier/index/share_away.ts"] },
  {
    files: "src/server/fleet/*.ts",
    may: [
      ...SEAM,
      "src/courier.ts",
      "src/courier/{*,index/watched_fleet,index/indexed_fleet}.ts",
      ...server("limits store"),
    ],
  },
  {
    files: "src/server/limits/*.ts",
    may: [...BASE, "src/courier.ts", "src/courier/*.ts", ...server("access store")],
  },
  { files: "src/server/fleet/updates/*.ts", may: [...COURIER, "src/server/{services,fleet/*,http/*,v1/schema/*}.ts"] },
  { files: "src/server/fleet/lists/*.ts", may: ["src/base/{errors,order}.ts", "src/courier/unavailable.ts"] },
  {
    files: "src/server/services.ts",
    may: [
      ...BASE,
      "src/{courier,program/registry/published}.ts",
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
      "src/courier/{agent_view,index/{scoped_fleet,share_away}}.ts",
      "src/server/{services,fleet/job_feed}.ts",
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
      "src/{courier/{agent_view,index/fleet_index},program/flags,server/{services,webhooks/documents}}.ts",
      METRICS,
      ...server("access http store v1/schema"),
    ],
  },
  { files: "src/server/{docs,console}/*.ts", may: server("http fleet/lists") },
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
      "src/documents/named.ts",
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
      "src/{courier/index/share_away,server/services}.ts",
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
        "access audit console docs http http/guard limits fleet/{lists,updates} metrics ollama scope v1 v1/schema platform webhooks",
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
      "src/server/{api,services,fleet/{connection,job_feed,lists/rendered},platform/catalog}.ts",
      ...server("access access/sessions audit http http/guard limits metrics store store/shared webhooks"),
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
      "src/server/{run,ollama/flags,platform/catalog,fleet/seen_state}.ts",
      ...server("access access/{login,sessions} audit http http/guard limits store store/shared webhooks"),
    ],
  },

  // The console's page, in the browser. Of documents and the protocol it has only the types.
  { files: "src/console/{api,store}/*.ts", may: [...IN_PAGE, ...page("api")] },
  { files: "src/console/parts/*", may: IN_PAGE },
  { files: "src/console/shell/*", may: [...IN_PAGE, "src/console/session.ts", ...page("api store parts")] },
  { files: "src/console/jobs/*", may: [...IN_PAGE, "src/console/session.ts", ...page("api store parts shell")] },
  {
    files: "src/console/{boxes,models,access,setup}/*",
    may: [...IN_PAGE, "src/console/session.ts", ...page("api store parts shell jobs")],
  },
  { files: "src/console/**", may: [...IN_PAGE, "src/console/**"] },

  // gpuctl.
  { files: "src/client/process_io.ts", may: [...SEAM, ...TRUST, "src/program/*.ts", "src/client/io.ts", OPEN] },
  {
    files: "src/client/output/*.ts",
    may: [...BASE, ...COURIER, "src/{program/{exit,style},client/{io,fleet_courier}}.ts"],
  },
  {
    files: "src/client/{io,base_command,fleet_courier}.ts",
    may: [
      ...SEAM,
      ...COURIER,
      KNOWN_AGENTS,
      "src/program/*.ts",
      REGISTRY,
      "src/client/{io,base_command,help/columns,output/agent_names}.ts",
    ],
  },
  {
    files: "src/client/{session,box_clock,{run,on_share,over_http}/*}.ts",
    may: [...CLIENT, SEVERAL, "src/client/{*,run/*,{on_share,over_http}/open,roster/{kept,read_file},output/*}.ts"],
  },
  {
    files: "src/client/over_http/proxy/*.ts",
    may: [...CLIENT, "src/client/{io,session,base_command,run/reach,over_http/{failures,http,open}}.ts"],
  },
  {
    files: "src/client/verbs/offline/*.ts",
    may: [
      ...CLIENT,
      "src/client/{base_command,io,output/printer}.ts",
      "src/transport/nats/{layout,options,permissions}.ts",
    ],
  },
  {
    files: "src/client/{asking,pulls,help,verbs,verbs/{desired,jobs,memory},roster,completion}/*.ts",
    may: [
      ...CLIENT,
      IN_VERBS,
      "src/client/{run/reach,output/*,roster/read_file,on_share/several,over_http/{open,whole_views}}.ts",
    ],
  },
  { files: "src/client/*.ts", may: [...CLIENT, "src/client/**/*.ts"] },
  { files: "src/client.ts", may: [...SEAM, "src/program/*.ts", "src/client/*.ts"] },
];
