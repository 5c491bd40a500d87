// gpu-server, the entry point for the platform: HTTP on one side, the share on the other. Imports its parts in server/.
import { join } from "node:path";
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { systemClock } from "./base/clock.ts";
import { runCommandLine } from "./program/exit.ts";
import { defaultStateDir, flag, parse, programCommand, serviceFlags } from "./program/flags.ts";
import { openLog } from "./program/log.ts";
import { openServiceManager } from "./program/service_manager.ts";
import { AgentName } from "./protocol.ts";
import { readCatalog } from "./server/catalog.ts";
import type { Address } from "./server/http/listen.ts";
import { runServer } from "./server/run.ts";
import { openStore } from "./server/store/store.ts";
import { Role } from "./server/store/tokens.ts";
import { addToken, listTokens, revokeToken } from "./server/token_commands.ts";
import { openTransport } from "./transport/open.ts";

const SERVICE = "gpu-server";
const EXAMPLES = `
Tokens: every request needs one; the operator makes them, also while the server runs.
  gpu-server token add platform --role gp     may do everything; prints the token, which is kept nowhere
  gpu-server token add grafana --role viewer  may read under /v1
  curl -H "Authorization: Bearer TOKEN" http://127.0.0.1:8001/api/config/models
Run them as the user that the server runs as, or with its --state-dir.`;

/** @returns the exit status */
export async function main(argv: readonly string[]): Promise<number> {
  return await runCommandLine(createProgram(), argv);
}

function createProgram() {
  const program = createServerCommand();
  const run = async (): Promise<void> => await runUntilStopped(program.opts());
  const stateDir = (): string => program.opts().stateDir ?? defaultStateDir(SERVICE);
  program.action(run);
  program.command("run").description("serve until told to stop (the default)").action(run);
  const token = program.command("token").description("make, list and revoke tokens");
  token
    .command("add")
    .description("make a token and print it, alone")
    .argument("<name>", "what to call it")
    .addOption(new Option("--role <role>", "what it may do").choices(Role.options).makeOptionMandatory())
    .action((name, { role }) => addToken(stateDir(), name, role, print));
  token
    .command("list")
    .description("list the tokens' names and roles")
    .option("--json", "print one JSON document", false)
    .action((options) => listTokens(stateDir(), options, print));
  token
    .command("revoke")
    .description("make a token worthless at once")
    .argument("<name>", "which one")
    .action((name) => revokeToken(stateDir(), name, print));
  return program;
}

function createServerCommand() {
  return programCommand(SERVICE, "Serve the models of GPU machines over HTTP")
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", EXAMPLES)
    .addOption(flag("--host <host>", "where to listen").default("127.0.0.1"))
    .addOption(flag("--port <port>", "where to listen; 0 takes a free one").argParser(parse.port).default(8001))
    .addOption(
      flag("--trusted-listen <host:port>", "serve /api/health and /api/models here too, without tokens").argParser(
        parseAddress,
      ),
    )
    .addOption(flag("--default-agent <name>", "where to pull and delete when none is named").argParser(parseAgent))
    .addOption(flag("--catalog <file>", "what available-models offers (default: a built-in list)"))
    .addOption(flag("--timeout <seconds>", "how long to wait for an agent").argParser(parse.seconds).default(30))
    .addOption(serviceFlags.watch())
    .addOption(serviceFlags.init())
    .addOption(serviceFlags.stateDir(SERVICE))
    .addOption(serviceFlags.logLevel())
    .addOption(serviceFlags.logFormat());
}

type Options = ReturnType<ReturnType<typeof createServerCommand>["opts"]>;

async function runUntilStopped(options: Options): Promise<void> {
  const stop = stopSignal();
  const catalog = readCatalog(options.catalog);
  const stateDir = options.stateDir ?? defaultStateDir(SERVICE);
  const log = openLog(options.logLevel, options.logFormat);
  const database = openStore(stateDir);
  try {
    const transport = openTransport(options.share, {
      create: options.init ? "always" : "network",
      watch: options.watch,
      clock: systemClock,
      log,
      rememberIn: join(stateDir, "file-system"),
      listsForLegacyBackends: true,
    });
    const settings = {
      address: { host: options.host, port: options.port },
      trustedAddress: options.trustedListen,
      timeoutMs: options.timeout * 1000,
      defaultAgent: options.defaultAgent,
      catalog,
    };
    await runServer(settings, { transport, database, service: openServiceManager(log), log, stop: stop.signal });
  } finally {
    stop.forget();
    database.close();
  }
}

/** Aborts at the first SIGTERM or SIGINT; the second finds nobody listening and ends the process. */
function stopSignal(): { readonly signal: AbortSignal; forget(): void } {
  const stopping = new AbortController();
  const forget = (): void => {
    for (const name of ["SIGTERM", "SIGINT"]) process.off(name, stop);
  };
  const stop = (): void => {
    forget();
    stopping.abort();
  };
  for (const name of ["SIGTERM", "SIGINT"]) process.on(name, stop);
  return { signal: stopping.signal, forget };
}

function parseAddress(text: string): Address {
  const parts = /^(?:\[([0-9A-Fa-f:]+)\]|([^:\s]+)):(\d+)$/.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  if (host === undefined) throw new InvalidArgumentError("Give a host and a port, for example 127.0.0.1:8002");
  return { host, port: parse.port(parts?.[3] ?? "") };
}

function parseAgent(text: string): string {
  const name = AgentName.safeParse(text);
  if (name.success) return name.data;
  throw new InvalidArgumentError(`It ${name.error.issues[0]?.message ?? "must be an agent's name"}`);
}

function print(text: string): void {
  process.stdout.write(text);
}

// A call that a hung share still holds must not keep the process that was told to stop.
if (import.meta.main) process.exit(await main(process.argv.slice(2)));
