// The imports that tests/architecture/architecture_test.ts allows: a row for each folder and entry file of src/.

import { SERVER_ROWS } from "./allowed_server_imports.ts";
import { TRANSPORT_ROWS } from "./allowed_transport_imports.ts";

const BASE = ["src/base/*.ts", "src/protocol.ts"];
const SEAM = [...BASE, "src/transport.ts"];
const ADDRESS = "src/transport/address.ts";
const COURIER = ["src/courier.ts", "src/courier/*.ts", "src/documents/{*,models/*}.ts"];
const TRUST = ["src/trust/*.ts"];
const KNOWN_AGENTS = "src/trust/agents/*.ts";
const ROSTER = "src/trust/roster/*.ts";
const ALL_TRUST = [...TRUST, KNOWN_AGENTS, ROSTER];
const DOCTOR = "src/{doctor/*,program/style}.ts";
const IN_VERBS = "src/client/{io,session,fleet_courier,base_command,box_clock,verbs/jobs/*,asking/*,pulls/*,help/*}.ts";
const OPEN = "src/transport/open.ts";
const SEVERAL = "src/transport/several.ts";
const PROTECTION = "src/program/protection.ts";
const REGISTRY = "src/program/registry/*.ts";
const MIRROR = "src/transport/mirror/*.ts";
const MIRROR_READING = "src/transport/mirror/reading/*.ts";
const HELPER_NAME = "src/transport/mirror/helper_name.ts";
const DESIRED = "src/program/desired/*.ts";
const METRICS = "src/program/metrics/*.ts";

/** `inside("src/agent", "disk ledger")`: the files of these folders. */
function inside(parent: string, folders: string): string[] {
  return folders.split(" ").map((folder) => `${parent}/${folder}/*.ts`);
}

const agent = (folders: string): string[] => inside("src/agent", folders);
const IN_PAGE = [...BASE, "src/documents/{*,models/*}.ts"];
const page = (folders: string): string[] => folders.split(" ").map((folder) => `src/console/${folder}/*`);
const CLIENT = [...SEAM, ADDRESS, ...ALL_TRUST, ...COURIER, "src/doctor/*.ts", "src/program/*.ts", REGISTRY, DESIRED];

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
  {
    files: DESIRED,
    may: [...BASE, PROTECTION, "src/program/registry/model_fit.ts", "src/courier/{agent_view,describe_view}.ts"],
  },
  { files: "src/program/*.ts", may: ["package.json", "src/base/{errors,format,invisible,log,model_name}.ts"] },
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
    files: "src/documents/{*,models/*}.ts",
    may: [
      "src/{base/{check,clock,errors,glob,model_name,order},protocol,courier/*,documents/{*,models/mirror}}.ts",
      "src/{program/registry/{manifest,model_fit,published},transport/mirror/listing,trust/signed_model}.ts",
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
  { files: "src/agent/ledger/*.ts", may: BASE },
  { files: "src/agent/{ollama,disk}/*.ts", may: [...BASE, REGISTRY, HELPER_NAME] },
  {
    files: "src/agent/pulls/fetches/*.ts",
    may: [...BASE, MIRROR, "src/agent/{ledger/ledger,ollama/text,pulls/job_progress}.ts"],
  },
  { files: "src/agent/pulls/limits/*.ts", may: [...BASE, MIRROR, REGISTRY, ...agent("pulls/mirror")] },
  {
    files: "src/agent/pulls/mirror/flags.ts",
    may: ["src/program/flags.ts", "src/agent/pulls/mirror/{open_mirror,sources}.ts"],
  },
  {
    files: "src/agent/pulls/mirror/*.ts",
    may: [...BASE, ADDRESS, MIRROR, MIRROR_READING, REGISTRY, ...TRUST, ROSTER, ...agent("ollama")],
  },
  { files: "src/agent/box.ts", may: [...BASE, ...agent("disk")] },
  {
    files: "src/agent/pulls/*.ts",
    may: [...BASE, REGISTRY, "src/{agent/box,program/disk_reserve}.ts", ...agent("ollama disk ledger pulls/limits")],
  },
  { files: "src/agent/models/*.ts", may: [...BASE, PROTECTION, REGISTRY, ...agent("ollama disk ledger pulls")] },
  { files: "src/agent/presence/*.ts", may: [...SEAM, ...TRUST, METRICS] },
  {
    files: "src/agent/commands/*.ts",
    may: [
      ...SEAM,
      REGISTRY,
      PROTECTION,
      ...TRUST,
      ROSTER,
      ...agent("ollama disk ledger pulls pulls/fetches models presence"),
    ],
  },
  { files: "src/agent/{changes,sweeping}.ts", may: SEAM },
  { files: "src/agent/trust/*.ts", may: [...SEAM, ...TRUST, ROSTER] },
  {
    files: "src/agent/examine.ts",
    may: [...BASE, REGISTRY, ...TRUST, ROSTER, ...agent("ollama disk ledger presence trust")],
  },
  {
    files: "src/agent/doctor.ts",
    may: [
      ...SEAM,
      ...COURIER,
      ROSTER,
      DOCTOR,
      "src/agent/{examine,run}.ts",
      ...agent("ollama disk trust pulls/mirror"),
    ],
  },
  {
    files: "src/agent/*.ts",
    may: [
      ...SEAM,
      ...TRUST,
      ROSTER,
      ADDRESS,
      MIRROR,
      MIRROR_READING,
      "src/program/{*,registry/*}.ts",
      "src/agent/{changes,box,sweeping,agent,assemble}.ts",
      ...agent("ollama disk ledger pulls pulls/fetches pulls/mirror pulls/limits models presence commands trust"),
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
      "src/agent/pulls/{lone_flags,mirror/flags,limits/{limited_sources,pull_windows}}.ts",
      "src/agent/{presence/{drain_file,identity,labels},trust/share_time_file}.ts",
    ],
  },

  ...SERVER_ROWS,

  // The console's page, in the browser. Of documents and the protocol it has only the types.
  { files: "src/console/{api,store}/*.ts", may: [...IN_PAGE, ...page("api")] },
  { files: "src/console/parts/*", may: IN_PAGE },
  { files: "src/console/shell/*", may: [...IN_PAGE, "src/console/session.ts", ...page("api store parts")] },
  { files: "src/console/jobs/*", may: [...IN_PAGE, "src/console/session.ts", ...page("api store parts shell")] },
  { files: "src/console/models/facts/*", may: [...IN_PAGE, ...page("store parts shell")] },
  { files: "src/console/models/pulls/*", may: [...IN_PAGE, ...page("api store parts shell jobs models/facts")] },
  {
    files: "src/console/mirror/*",
    may: [...IN_PAGE, ...page("store parts shell models/facts models/pulls")],
  },
  { files: "src/console/desired/*", may: [...IN_PAGE, ...page("store parts shell jobs models/facts")] },
  { files: "src/console/boxes/disk/*", may: [...IN_PAGE, ...page("parts shell")] },
  {
    files: "src/console/models/updates/*",
    may: [...IN_PAGE, ...page("store parts shell models/facts models/pulls")],
  },
  {
    files: "src/console/{boxes,models,access,setup}/*",
    may: [
      ...IN_PAGE,
      "src/console/session.ts",
      ...page("api store parts shell jobs boxes/disk desired mirror models/facts models/pulls models/updates"),
    ],
  },
  { files: "src/console/**", may: [...IN_PAGE, "src/console/**"] },

  // gpuctl.
  { files: "src/client/process_io.ts", may: [...SEAM, ...TRUST, "src/program/*.ts", "src/client/io.ts", OPEN] },
  {
    files: "src/client/output/*.ts",
    may: [...BASE, ...COURIER, "src/{program/{exit,style,desired/named_boxes},client/{io,fleet_courier}}.ts"],
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
    files: "src/client/over_http/{views,models}/*.ts",
    may: [...CLIENT, "src/client/{fleet_courier,over_http/*}.ts"],
  },
  {
    files: "src/client/{session,box_clock,{run,on_share,over_http}/*}.ts",
    may: [
      MIRROR,
      MIRROR_READING,
      ...CLIENT,
      SEVERAL,
      "src/client/{*,run/*,{on_share,over_http}/open,over_http/{views,models}/*,roster/{kept,read_file},output/*}.ts",
    ],
  },
  {
    files: "src/client/over_http/proxy/*.ts",
    may: [...CLIENT, "src/client/{io,session,base_command,run/reach,over_http/{failures,http,open}}.ts"],
  },
  {
    files: "src/client/{verbs,pulls}/mirror/*.ts",
    may: [
      ...CLIENT,
      MIRROR,
      MIRROR_READING,
      IN_VERBS,
      "src/client/{run/reach,pulls/mirror/*,output/{counts,printer,table,unavailable}}.ts",
    ],
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
    files: "src/client/{asking,pulls,help,verbs,verbs/{desired,disk,jobs,memory},roster,completion}/*.ts",
    may: [
      ...CLIENT,
      IN_VERBS,
      "src/transport/mirror/mirror.ts",
      "src/client/{run/reach,pulls/mirror/*,output/*,roster/read_file,on_share/several,over_http/{open,views/whole_views},verbs/desired/published}.ts",
    ],
  },
  { files: "src/client/*.ts", may: [...CLIENT, "src/client/**/*.ts"] },
  { files: "src/client.ts", may: [...SEAM, "src/program/*.ts", "src/client/*.ts"] },
];
