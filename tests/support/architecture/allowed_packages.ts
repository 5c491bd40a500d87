// The packages that src/ may import, and the only files that may import each.

/** Packages, and the only files that may import them. Every file may import those in `ANYWHERE`. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  zod: [
    "src/protocol.ts",
    "src/transport/nats/messages/waiting.ts",
    "src/{protocol,documents,documents/models,client/over_http,client/over_http/{models,proxy}}/*.ts",
    "src/{trust,agent,server,program/registry}/**/*.ts",
  ],
  jose: ["src/server/access/login/*.ts", "src/server/access/login/introspection/*.ts"],
  pino: ["src/program/log.ts"],
  yaml: ["src/program/desired/fleet_file.ts"],
  ollama: ["src/agent/ollama/*.ts"],
  "@commander-js/extra-typings": [
    "src/program/{command,flags,exit}.ts",
    "src/server/{access/{flag_values,sessions/flags},http/guard/flags}.ts",
    "src/{agent,server,client}.ts",
    "src/client/{base_command,command_line,roster/verbs,help/columns,over_http/proxy/proxy_verb,verbs/mirror/verbs}.ts",
  ],
  "@nats-io/jetstream": ["src/transport/nats/calls/*.ts"],
  "@nats-io/transport-node": ["src/transport/nats/{calls,messages}/*.ts"],
  hono: ["src/server/**/*.ts"],
  preact: ["src/console/**/*.{ts,tsx}"],
  "swagger-ui-dist": ["src/server/http/docs/*.ts"],
  "@hono/zod-openapi": ["src/server/**/*.ts"],
  "bun:ffi": ["src/program/{service_manager,reader_watch}.ts"],
  "bun:sqlite": [
    "src/agent/ledger/*.ts",
    "src/server/{run,models/mirror/{fetch_store,open},audit/{audit_copy,audit_log,schema,waiting_numbers},store/{*,shared/*,shared/logs/*},webhooks/{*,queue/*}}.ts",
  ],
  "node:async_hooks": ["src/server/audit/recorder.ts"],
  "node:tls": ["src/{client/over_http/open,agent/pulls/mirror/open_mirror}.ts"],
  "node:zlib": ["src/server/http/responses.ts"],
  "node:dns": ["src/{agent/pulls/host_names,program/registry/storage,server/webhooks/http/post}.ts"],
  "node:net": [
    "src/agent/pulls/host_names.ts",
    "src/program/registry/internal_address.ts",
    "src/server/access/{trusted_proxies,login/address}.ts",
    "src/server/webhooks/{settings,http/*}.ts",
  ],
  // The share's files are the driver's and the mirror's alone; the rest is a service's own state folder, its settings, and the box.
  "node:fs": [
    "src/transport/{share/**,mirror,mirror/reading}/*.ts",
    "src/transport/nats/calls/connection.ts",
    "src/program/{foreground_program,journal,stop_signal,user_name}.ts",
    "src/agent/{disk,ledger,presence}/*.ts",
    "src/agent/pulls/mirror/open_mirror.ts",
    "src/agent/trust/share_time_file.ts",
    "src/agent/examine.ts",
    "src/client/roster/read_file.ts",
    "src/server/{store/store,platform/catalog,metrics/process,models/desired/read_file}.ts",
    "src/server/access/login/{settings_file,user_list}.ts",
    "src/trust/{key_file,token_file,replace_file,file_safety,trusted_keys_file,agents/file_lock,roster/kept_roster,agents/known_agents_file}.ts",
  ],
};
export const ANYWHERE = ["node:path", "node:os", "node:crypto", "node:stream", "node:util"];
