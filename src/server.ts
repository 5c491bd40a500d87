// gpu-server, the entry point that serves the models of GPU machines over HTTP.
import { hostname } from "node:os";
import { join } from "node:path";
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { systemClock } from "./base/clock.ts";
import { runCommandLine } from "./program/exit.ts";
import { defaultStateDir, flag, parse, programCommand, serviceFlags } from "./program/flags.ts";
import { openLog } from "./program/log.ts";
import { openServiceManager } from "./program/service_manager.ts";
import { stopSignal } from "./program/stop_signal.ts";
import { AgentName } from "./protocol.ts";
import { addToken, listTokens, revokeToken } from "./server/access/token_commands.ts";
import { readCatalog } from "./server/catalog.ts";
import type { Address } from "./server/http/listen.ts";
import { hostName } from "./server/http/trusted_hosts.ts";
import { MAX_LISTENERS } from "./server/limits/listeners.ts";
import { runServer } from "./server/run.ts";
import { openStore } from "./server/store/store.ts";
import { Role } from "./server/store/tokens.ts";
import { openTransport } from "./transport/open.ts";
import { ensureKey, keyPath, readKey } from "./trust/key_file.ts";
import { publicLine } from "./trust/keys.ts";

const SERVICE = "gpu-server";
const EXAMPLES = `
Every request needs a token. Tokens can be added and revoked while the server runs.
  gpu-server token add platform --role gp     full access; prints the token, which is not stored
  gpu-server token add grafana --role viewer  read-only access to /v1
  curl -H @token.header http://127.0.0.1:8001/v1/agents
                                              token.header holds: Authorization: Bearer TOKEN
Run these as the user that runs the server, or with its --state-dir.`;

/** @returns the exit status */
export async function main(argv: readonly string[]): Promise<number> {
  return await runCommandLine(createProgram(), argv);
}

function createProgram() {
  const program = createServerCommand();
  const run = async (): Promise<void> => await runUntilStopped(program.opts());
  const stateDir = (): string => program.opts().stateDir ?? defaultStateDir(SERVICE);
  program.action(run);
  program.command("run").description("serve until stopped (the default)").action(run);
  const token = program.command("token").description("add, list and revoke tokens");
  token
    .command("add")
    .description("add a token and print it")
    .argument("<name>", "name of the token")
    .addOption(new Option("--role <role>", "what the token permits").choices(Role.options).makeOptionMandatory())
    .action((name, { role }) => addToken(stateDir(), name, role, print));
  token
    .command("list")
    .description("list the names and roles of the tokens")
    .option("--json", "print one JSON document", false)
    .action((options) => listTokens(stateDir(), options, print));
  token
    .command("revoke")
    .description("revoke a token; takes effect immediately")
    .argument("<name>", "name of the token")
    .action((name) => revokeToken(stateDir(), name, print));
  program
    .command("key")
    .description(
      "print the public key that signs commands, for the trusted keys of the boxes; creates it if it is missing",
    )
    .action(() => print(`${publicLine(ensureKey(keyPath(stateDir())), `server@${hostname()}`)}\n`));
  return program;
}

function createServerCommand() {
  return programCommand(SERVICE, "Serve the models of GPU machines over HTTP")
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", EXAMPLES)
    .addOption(flag("--host <host>", "address to listen on").default("127.0.0.1"))
    .addOption(flag("--port <port>", "port to listen on; 0 picks a free one").argParser(parse.port).default(8001))
    .addOption(
      flag("--trusted-listen <host:port>", "also serve /api/health and /api/models here, without tokens").argParser(
        parseAddress,
      ),
    )
    .addOption(
      flag(
        "--trusted-host <name>",
        "name by which clients call --trusted-listen, in addition to its address and localhost; repeatable",
      ).argParser(parse.list(parseHost)),
    )
    .addOption(flag("--default-agent <name>", "agent to pull and delete on when none is named").argParser(parseAgent))
    .addOption(flag("--catalog <file>", "JSON file served as /api/config/available-models (default: a built-in list)"))
    .addOption(
      flag("--timeout <seconds>", "how long to wait for a response from an agent").argParser(parse.seconds).default(30),
    )
    .addOption(
      flag("--max-listeners <count>", "event streams at the same time, at most 100 for a token of the role viewer")
        .argParser(parse.count)
        .default(MAX_LISTENERS),
    )
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
      trustedHosts: options.trustedHost ?? [],
      timeoutMs: options.timeout * 1000,
      maxListeners: options.maxListeners,
      defaultAgent: options.defaultAgent,
      catalog,
      signingKey: readKey(keyPath(stateDir)),
    };
    await runServer(settings, { transport, database, service: openServiceManager(log), log, stop });
  } finally {
    database.close();
  }
}

function parseAddress(text: string): Address {
  const parts = /^(?:\[([0-9A-Fa-f:]+)\]|([^:\s]+)):(\d+)$/.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  if (host === undefined) throw new InvalidArgumentError("Use a host and a port, for example 127.0.0.1:8002");
  return { host, port: parse.port(parts?.[3] ?? "") };
}

function parseHost(text: string): string {
  const name = /:\d*$/.test(text) ? undefined : hostName(text);
  if (name !== undefined) return name;
  throw new InvalidArgumentError("Give a name without a port, for example gpu.example.org");
}

function parseAgent(text: string): string {
  const name = AgentName.safeParse(text);
  if (name.success) return name.data;
  throw new InvalidArgumentError(`It ${name.error.issues[0]?.message ?? "must be an agent's name"}`);
}

function print(text: string): void {
  process.stdout.write(text);
}

if (import.meta.main) {
  // Its state directory may have been made by hand. What it makes on the share gets the bits of its folder there.
  process.umask(0o077);
  // A call that a hung share never answers must not keep a stopping process alive.
  process.exit(await main(process.argv.slice(2)));
}
