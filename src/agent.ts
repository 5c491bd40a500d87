// gpu-agent, the entry point on the GPU machine: turns the command line and the environment into settings.
import { join, resolve } from "node:path";
import { InvalidArgumentError } from "@commander-js/extra-typings";
import { runDoctor } from "./agent/doctor.ts";
import { rememberedFileSystem } from "./agent/examine.ts";
import { DrainFile } from "./agent/presence/drain_file.ts";
import { agentName } from "./agent/presence/identity.ts";
import { parseLabel, readLabels } from "./agent/presence/labels.ts";
import { parseSkippedRegistry } from "./agent/pulls/limits/limited_sources.ts";
import { addPullWindows } from "./agent/pulls/limits/pull_windows.ts";
import { requirePairs } from "./agent/pulls/lone_flags.ts";
import { mirrorFlags, mirrorSettings } from "./agent/pulls/mirror/flags.ts";
import { type AgentSettings, type AgentSurroundings, runAgent } from "./agent/run.ts";
import { ShareTimeFile } from "./agent/trust/share_time_file.ts";
import { RELEASE_KEYS, verifyRelease } from "./agent/verify_release.ts";
import { systemClock } from "./base/clock.ts";
import { CourierError } from "./base/errors.ts";
import { silentLog } from "./base/log.ts";
import { programCommand } from "./program/command.ts";
import { ExitStatus, runCommandLine } from "./program/exit.ts";
import { defaultStateDir, flag, parse, serviceFlags } from "./program/flags.ts";
import { openLog } from "./program/log.ts";
import { parseProtectedName } from "./program/protection.ts";
import { DEFAULT_REGISTRIES, parseAllowedRegistry, parseInsecureRegistry } from "./program/registry/registry_host.ts";
import { openServiceManager } from "./program/service_manager.ts";
import { stopSignal } from "./program/stop_signal.ts";
import { addressOf, natsFlagsOf } from "./program/transport_flags.ts";
import { oneSpelling } from "./transport/address.ts";
import { openTransport } from "./transport/open.ts";
import { ensureKey, keyPath } from "./trust/key_file.ts";
import { publicLine } from "./trust/keys.ts";
import { SIGNATURE_MODES } from "./trust/requirement.ts";

/** Commands under way get 8 s; systemd kills the process after 15 s. */
const STOP_WITHIN_MS = 9500;

/** Runs gpu-agent. @returns the exit status */
export async function main(argv: readonly string[], around?: AgentSurroundings["around"]): Promise<number> {
  return await runCommandLine(command(around), argv);
}

const PULL_TIMEOUT_SECONDS = 86_400;

const agentFlags = {
  name: () => flag("--name <name>", "this agent's name and address (default: the short host name)"),
  label: () =>
    flag("--label <key=value>", "a label of this machine, such as site=berlin; repeatable").argParser(
      parse.list(parseLabel),
    ),
  ollama: () => flag("--ollama <url>", "address of Ollama (also OLLAMA_HOST; default: http://127.0.0.1:11434)"),
  models: () => flag("--ollama-models <dir>", "folder where Ollama keeps its models (also OLLAMA_MODELS)"),
  allowRegistry: () =>
    flag(
      "--allow-registry <host>",
      `a registry that pulls may use, or * for any; repeatable (default: ${DEFAULT_REGISTRIES.join(", ")})`,
    ).argParser(parse.list(parseAllowedRegistry)),
  insecureRegistry: () =>
    flag("--insecure-registry <host:port>", "a registry without TLS that pulls may use too; repeatable").argParser(
      parse.list(parseInsecureRegistry),
    ),
  mirrorSource: () =>
    flag(
      "--mirror-source",
      "fetch models into the mirror on the share, for the other boxes, when asked to: this machine has internet",
    ).default(false),
  fetchRate: () =>
    flag("--fetch-rate <rate>", "fetch into the mirror no faster than this, such as 50MB/s").argParser(parse.rate),
  protect: () =>
    flag("--protect <pattern>", "models that no command may delete, such as phi4 or phi4:*; repeatable").argParser(
      parse.list(parseProtectedName),
    ),
  trustedKeys: () => flag("--trusted-keys <file>", "public keys whose signed commands run here, one a line"),
  operatorKeys: () =>
    flag("--operator-keys <file>", "public keys of operators, whose roster names more senders; one a line"),
  requireSignatures: () =>
    flag(
      "--require-signatures <mode>",
      "commands that must be signed: off, warn (log only), changing or all (default: changing with --trusted-keys or --operator-keys, else off)",
    ).choices(SIGNATURE_MODES),
  sharedInbox: () =>
    flag(
      "--shared-inbox <mode>",
      "serve legacy backends: on, off, auto (one agent of the share serves them), or only (as on, and no legacy service runs here)",
    )
      .choices(["on", "off", "auto", "only"])
      .default("auto" as const),
  listTtl: () =>
    flag("--list-ttl <seconds>", "refuse legacy (version 1) list commands older than this")
      .argParser(parse.seconds)
      .default(60),
  changeTtl: () =>
    flag("--change-ttl <seconds>", "refuse legacy (version 1) pulls and deletes older than this")
      .argParser(parse.seconds)
      .default(86_400),
  preflight: () =>
    flag("--preflight <how>", "before a pull, ask the registry for the model's size and check the disk: on or off")
      .choices(["on", "off"])
      .default("on" as const),
  diskReserve: () =>
    flag("--disk-reserve <size>", "space that pulls leave free on the models' disk (default: 5%, at most 5GB)"),
  metricsFile: () =>
    flag("--metrics-file <file>", "write this machine's metrics for node_exporter here; ends with .prom").argParser(
      parseMetricsFile,
    ),
  maxPulls: () => flag("--max-pulls <count>", "number of pulls that run at a time").argParser(parse.count).default(1),
  pullRate: () =>
    flag("--pull-rate <rate>", "fetch no faster than this, all pulls together, such as 50MB/s").argParser(parse.rate),
  pullRateSkip: () =>
    flag("--pull-rate-skip <host>", "a registry past that rate, as it needs Ollama's own key; repeatable").argParser(
      parse.list(parseSkippedRegistry),
    ),
  pullWindow: () =>
    flag(
      "--pull-window <when>",
      "pull only then, such as 'Mon-Fri 20:00-06:00' or 'TZ=Europe/Berlin 22:00-06:00'; repeatable",
    ).argParser(addPullWindows),
  stallTimeout: () =>
    flag("--stall-timeout <seconds>", "reconnect a pull after this time without data")
      .argParser(parse.seconds)
      .default(60),
  pullTimeout: () =>
    flag(
      "--pull-timeout <seconds>",
      `fail a pull after this time without new data (default: ${PULL_TIMEOUT_SECONDS})`,
    ).argParser(parse.seconds),
  /** The name of `--pull-timeout` in version 0.1.0. */
  pullPatience: () => flag("--pull-patience <seconds>", "").argParser(parse.seconds).hideHelp(),
  registryTimeout: () =>
    flag("--registry-timeout <seconds>", "fail a pull after this time without a manifest from its registry")
      .argParser(parse.seconds)
      .default(PULL_TIMEOUT_SECONDS),
  saveInterval: () =>
    flag("--pull-save-interval <seconds>", "make Ollama save a pull's progress at most this often; 0: never")
      .argParser((text) => (text.trim() === "0" ? 0 : parse.seconds(text)))
      .default(300),
};

const EXAMPLES = `
Examples:
  gpu-agent --share /mnt/shared                 serve this machine under its host name
  gpu-agent --share ~/share --init --name gpu-1 the same on a laptop, with a new share
  gpu-agent doctor --share /mnt/shared          check this machine, the share and the agents`;

type Options = ReturnType<ReturnType<typeof createAgentCommand>["opts"]>;

function command(around: AgentSurroundings["around"]) {
  const program = createAgentCommand();
  program
    .command("run", { isDefault: true })
    .description("serve commands until stopped (default)")
    .action(async () => {
      await run(program.opts(), around);
    });
  program
    .command("doctor")
    .summary("check this machine, the share and the agents, and suggest fixes")
    .description(
      "Check this machine, the share and the agents, and suggest fixes.\n" +
        "The agent may be running or stopped. Exits with 1 if a check failed.",
    )
    .configureHelp({ showGlobalOptions: true })
    .addOption(flag("--json", "print JSON"))
    .addHelpText("after", "\nExamples:\n  gpu-agent doctor --share /mnt/shared\n  gpu-agent doctor --json | jq .result")
    .action(async ({ json = false }) => {
      const status = await doctor(program.opts(), json);
      if (status !== 0) throw new ExitStatus(status);
    });
  addKey(program);
  addAcceptClock(program);
  addDrain(program);
  addVerifyRelease(program);
  return program;
}

function addKey(program: ReturnType<typeof createAgentCommand>): void {
  program
    .command("key")
    .summary("print the public key that signs this agent's states and responses")
    .description(
      "Print the public key that signs this agent's states and responses, and create it first if it is missing.\n" +
        "Compare it with the key that the readers of the share see.",
    )
    .configureHelp({ showGlobalOptions: true })
    .action(() => {
      const { name, stateDir = defaultStateDir("gpu-agent") } = program.opts();
      process.stdout.write(`${publicLine(ensureKey(keyPath(stateDir)), agentName(name))}\n`);
    });
}

function addAcceptClock(program: ReturnType<typeof createAgentCommand>): void {
  program
    .command("accept-clock")
    .summary("accept the share's clock after it went back")
    .description(
      "Accept the share's clock after it went back: signed commands may change something again.\n" +
        "The agent may be running or stopped. Run it as root or as the agent's user.",
    )
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", "\nExample:\n  sudo gpu-agent accept-clock --share /mnt/shared")
    .action(() => {
      const { address, stateDir } = readSettings(program.opts());
      if (!new ShareTimeFile(stateDir, address).remove()) {
        throw new CourierError("not_found", `No time of ${address} is kept in ${stateDir}`, {
          hint: "Name the share and the state directory as the agent has them: --share, --state-dir",
        });
      }
      process.stdout.write(`The clock of ${address} is accepted: a running agent follows within 5 s\n`);
    });
}

function addDrain(program: ReturnType<typeof createAgentCommand>): void {
  program
    .command("drain")
    .summary("end the running agent so that it can start on another transport")
    .description(
      "End the running agent so that it can start on another transport: it refuses the commands in its inbox,\n" +
        "keeps its jobs for the next start, and publishes that it stopped. Run it as root or as the agent's user.",
    )
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", "\nExample:\n  sudo gpu-agent drain")
    .action(async () => {
      const { stateDir = defaultStateDir("gpu-agent") } = program.opts();
      await new DrainFile(stateDir, systemClock).ask();
      process.stdout.write("The agent has left its transport. Start it with the address of the next one\n");
    });
}

function addVerifyRelease(program: ReturnType<typeof createAgentCommand>): void {
  program
    .command("verify-release")
    .description("verify the signature and the files of a release folder, before its install.sh runs")
    .argument("<folder>", "the release folder")
    .option("--keys <file>", "the keys that may sign it", parse.text, RELEASE_KEYS)
    .addHelpText("after", "\nExample:\n  gpu-agent verify-release ./dist && sudo ./dist/install.sh")
    .action(async (folder, { keys }) => {
      const { files, signer } = await verifyRelease(folder, keys);
      process.stdout.write(`${folder}: ${files} files verified, signed with ${signer}\n`);
    });
}

/** The flags about the box and its models. */
function createBoxCommand() {
  return programCommand("gpu-agent", "Run the commands from the share on this machine's Ollama.")
    .addOption(agentFlags.name())
    .addOption(agentFlags.label())
    .addOption(agentFlags.ollama())
    .addOption(agentFlags.models())
    .addOption(agentFlags.allowRegistry())
    .addOption(agentFlags.insecureRegistry())
    .addOption(mirrorFlags.mode())
    .addOption(mirrorFlags.folder())
    .addOption(mirrorFlags.url())
    .addOption(mirrorFlags.tokenFile())
    .addOption(mirrorFlags.ca())
    .addOption(agentFlags.mirrorSource())
    .addOption(agentFlags.fetchRate())
    .addOption(agentFlags.protect());
}

function createAgentCommand() {
  return createBoxCommand()
    .addOption(agentFlags.trustedKeys())
    .addOption(agentFlags.operatorKeys())
    .addOption(agentFlags.requireSignatures())
    .addOption(agentFlags.sharedInbox())
    .addOption(agentFlags.listTtl())
    .addOption(agentFlags.changeTtl())
    .addOption(agentFlags.preflight())
    .addOption(agentFlags.diskReserve())
    .addOption(agentFlags.metricsFile())
    .addOption(agentFlags.maxPulls())
    .addOption(agentFlags.pullRate())
    .addOption(agentFlags.pullRateSkip())
    .addOption(agentFlags.pullWindow())
    .addOption(agentFlags.stallTimeout())
    .addOption(agentFlags.pullTimeout())
    .addOption(agentFlags.pullPatience())
    .addOption(agentFlags.registryTimeout())
    .addOption(agentFlags.saveInterval())
    .addOption(serviceFlags.stateDir("gpu-agent"))
    .addOption(serviceFlags.watch())
    .addOption(serviceFlags.init())
    .addOption(serviceFlags.logLevel())
    .addOption(serviceFlags.logFormat())
    .addHelpText("after", EXAMPLES);
}

async function run(options: Options, around: AgentSurroundings["around"]): Promise<void> {
  const log = openLog(options.logLevel, options.logFormat);
  const stop = stopSignal({ withinMs: STOP_WITHIN_MS });
  const settings = readSettings(options);
  const transport = openTransport(addressOf(options), {
    nats: natsFlagsOf(options),
    identity: agentName(settings.name),
    create: options.init ? "always" : "network",
    watch: options.watch,
    clock: systemClock,
    log,
    rememberIn: join(settings.stateDir, "file-system"),
  });
  const service = openServiceManager(log);
  await runAgent(settings, { transport, service, log, stop, around });
}

async function doctor(options: Options, json: boolean): Promise<number> {
  const stop = stopSignal({ withinMs: STOP_WITHIN_MS });
  const settings = readSettings(options);
  const rememberIn = rememberedFileSystem(settings.stateDir);
  const transport = openTransport(addressOf(options), {
    nats: natsFlagsOf(options),
    ...usableName(settings.name),
    create: "never",
    watch: options.watch,
    clock: systemClock,
    log: silentLog,
    ...(rememberIn === undefined ? {} : { rememberIn }),
  });
  return await runDoctor(settings, { transport, stop, json });
}

/** A name that cannot be used is for the doctor to report. */
function usableName(given: string | undefined): { readonly identity?: string } {
  try {
    return { identity: agentName(given) };
  } catch {
    return {};
  }
}

function readSettings(options: Options): AgentSettings {
  requirePairs(options);
  return {
    name: options.name,
    address: oneSpelling(addressOf(options)),
    labels: readLabels(options.label ?? []),
    stateDir: options.stateDir ?? defaultStateDir("gpu-agent"),
    ollamaUrl: options.ollama ?? (process.env["OLLAMA_HOST"] || "http://127.0.0.1:11434"),
    modelsDir: options.ollamaModels ?? (process.env["OLLAMA_MODELS"] || undefined),
    allowedRegistries: options.allowRegistry ?? DEFAULT_REGISTRIES,
    insecureRegistries: options.insecureRegistry ?? [],
    preflight: options.preflight === "on",
    diskReserve: options.diskReserve,
    mirror: mirrorSettings(options),
    mirrorSource: options.mirrorSource,
    fetchRate: options.fetchRate ?? null,
    protect: options.protect ?? [],
    trustedKeys: options.trustedKeys,
    operatorKeys: options.operatorKeys,
    requireSignatures: options.requireSignatures,
    metricsFile: options.metricsFile,
    maxPulls: options.maxPulls,
    pullRate: options.pullRate,
    pullRateSkipped: options.pullRateSkip ?? [],
    pullWindows: options.pullWindow ?? [],
    stallMs: options.stallTimeout * 1000,
    pullLimits: {
      pullTimeoutMs: (options.pullTimeout ?? options.pullPatience ?? PULL_TIMEOUT_SECONDS) * 1000,
      registryTimeoutMs: options.registryTimeout * 1000,
      saveIntervalMs: options.pullSaveInterval * 1000,
    },
    sharedInbox: options.sharedInbox,
    listTtlMs: options.listTtl * 1000,
    changeTtlMs: options.changeTtl * 1000,
  };
}

/** Its textfile collector reads no others. */
function parseMetricsFile(path: string): string {
  if (path.endsWith(".prom")) return resolve(path);
  throw new InvalidArgumentError("Give a file whose name ends with .prom: node_exporter reads no other");
}

if (import.meta.main) {
  // Its state directory may have been made by hand. What it makes on the share gets the bits of its folder there.
  process.umask(0o077);
  process.exit(await main(process.argv.slice(2)));
}
