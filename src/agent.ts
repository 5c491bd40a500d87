// gpu-agent, the entry point on the box: command line and environment to configuration, assemble, run, exit status.
import { hostname } from "node:os";
import { join } from "node:path";
import { Agent, type AgentOptions } from "./agent/agent.ts";
import { ModelsFolder } from "./agent/disk/models_folder.ts";
import { defaultReserve, parseDiskReserve } from "./agent/disk/reserve.ts";
import { examineBox, rememberedFileSystem } from "./agent/examine.ts";
import { Ledger } from "./agent/ledger/ledger.ts";
import { Ollama } from "./agent/ollama/ollama.ts";
import { parseOllamaUrl } from "./agent/ollama/url.ts";
import { agentName, type Identity, openStateDir, readInstance } from "./agent/presence/identity.ts";
import { HostNames } from "./agent/pulls/host_names.ts";
import { Registry } from "./agent/pulls/registry.ts";
import { isoTime, systemClock } from "./base/clock.ts";
import { ERROR_CODES } from "./base/errors.ts";
import { type Log, silentLog } from "./base/log.ts";
import { Courier } from "./courier.ts";
import { examine, printChecks, type Report } from "./doctor/report.ts";
import { ExitStatus, runCommandLine } from "./program/exit.ts";
import { defaultStateDir, flag, parse, programCommand, serviceFlags, VERSION } from "./program/flags.ts";
import { openLog } from "./program/log.ts";
import { openServiceManager, type ServiceManager } from "./program/service_manager.ts";
import { openTransport } from "./transport/open.ts";

/** What the agent is made of, put into something else's hands on its way: a test's. */
type Around = (parts: AgentOptions) => AgentOptions;

/** Runs gpu-agent. @returns the exit status */
export async function main(argv: readonly string[], around: Around = (agent) => agent): Promise<number> {
  return await runCommandLine(command(around), argv);
}

const agentFlags = {
  ollama: () => flag("--ollama <url>", "where Ollama answers (also OLLAMA_HOST; default: http://127.0.0.1:11434)"),
  sharedInbox: () =>
    flag("--shared-inbox <mode>", "answer legacy backends: on, off, or auto (one agent of the share does)")
      .choices(["on", "off", "auto"])
      .default("auto" as const),
  listTtl: () => flag("--list-ttl <seconds>", "how old an old list may be").argParser(parse.seconds).default(60),
  changeTtl: () =>
    flag("--change-ttl <seconds>", "how old an old pull or delete may be").argParser(parse.seconds).default(86_400),
  protect: () =>
    flag("--protect <pattern>", "models that no command may delete, such as phi4 or phi4:*; repeatable").argParser(
      parse.list,
    ),
  reserve: () => flag("--disk-reserve <size>", "what pulls leave free on the models' disk (default: 5%, at most 5GB)"),
  preflight: () =>
    flag("--preflight <how>", "ask a model's registry for its size before a pull, and look whether it fits: on or off")
      .choices(["on", "off"])
      .default("on" as const),
  maxPulls: () => flag("--max-pulls <count>", "how many pulls run at a time").argParser(parse.count).default(1),
  stallTimeout: () =>
    flag("--stall-timeout <seconds>", "a pull that gets no byte for this long connects again")
      .argParser(parse.seconds)
      .default(60),
  pullTimeout: () =>
    flag("--pull-timeout <seconds>", "how long a pull is tried without a new byte (default: 86400)").argParser(
      parse.seconds,
    ),
  // Its name before; GPU_COURIER_PULL_PATIENCE may stand in an environment file.
  patience: () => flag("--pull-patience <seconds>", "the same").argParser(parse.seconds),
  registryTimeout: () =>
    flag("--registry-timeout <seconds>", "the same for a pull whose registry has never sent a manifest")
      .argParser(parse.seconds)
      .default(86_400),
  saveInterval: () =>
    flag("--pull-save-interval <seconds>", "how often a pull makes Ollama save its progress; 0: never")
      .argParser((text) => (text.trim() === "0" ? 0 : parse.seconds(text)))
      .default(300),
};

type Options = ReturnType<ReturnType<typeof command>["opts"]>;

function command(around: Around) {
  const models = flag("--ollama-models <dir>", "where Ollama keeps its models (also OLLAMA_MODELS)");
  const program = programCommand(
    "gpu-agent",
    "Serves the commands for this box that come over the share, with its Ollama.",
  )
    .addOption(flag("--name <name>", "this agent's name, the address of the box (default: the short host name)"))
    .addOption(agentFlags.ollama())
    .addOption(models)
    .addOption(flag("--insecure-registry <host:port>", "a registry without TLS; repeatable").argParser(parse.list))
    .addOption(agentFlags.protect())
    .addOption(agentFlags.sharedInbox())
    .addOption(agentFlags.listTtl())
    .addOption(agentFlags.changeTtl())
    .addOption(agentFlags.preflight())
    .addOption(agentFlags.reserve())
    .addOption(agentFlags.maxPulls())
    .addOption(agentFlags.stallTimeout())
    .addOption(agentFlags.pullTimeout())
    .addOption(agentFlags.patience().hideHelp())
    .addOption(agentFlags.registryTimeout())
    .addOption(agentFlags.saveInterval())
    .addOption(serviceFlags.stateDir("gpu-agent"))
    .addOption(serviceFlags.watch())
    .addOption(serviceFlags.init())
    .addOption(serviceFlags.logLevel())
    .addOption(serviceFlags.logFormat())
    .addHelpText("after", EXAMPLES);
  program
    .command("run", { isDefault: true })
    .description("serve commands until told to stop (default)")
    .action(async () => {
      await run(program.opts(), around);
    });
  program
    .command("doctor")
    .summary("look at box, share and agents, and say what is wrong")
    .description(
      "Look at this box, the share and the agents on it, and say what is wrong and what to do.\n" +
        "The agent may run meanwhile, or not. Exits with 1 when something failed.",
    )
    .configureHelp({ showGlobalOptions: true })
    .addOption(flag("--json", "print JSON"))
    .addHelpText("after", "\nExamples:\n  gpu-agent doctor --share /mnt/shared\n  gpu-agent doctor --json | jq .result")
    .action(async ({ json = false }) => {
      const status = await runDoctor(program.opts(), json);
      if (status !== 0) throw new ExitStatus(status);
    });
  return program;
}

const EXAMPLES = `
Examples:
  gpu-agent --share /mnt/shared                 serve this box under its host name
  gpu-agent --share ~/share --init --name gpu-1 the same on a laptop, with a new share
  gpu-agent doctor --share /mnt/shared          what is wrong, with the agent running or not`;

async function run(options: Options, around: Around): Promise<void> {
  const log = openLog(options.logLevel, options.logFormat);
  const stopping = stopSignal();
  const service = openServiceManager(log);
  stopping.addEventListener("abort", () => service.stopping());
  const stateDir = options.stateDir ?? defaultStateDir("gpu-agent");
  const ledger = new Ledger(stateDir, { isFirst: !openStateDir(stateDir) });
  try {
    const identity = readIdentity(options.name, stateDir);
    await new Agent(around({ ...parts(options, stateDir, { log, service }), identity, ledger })).run(stopping);
  } finally {
    ledger.close();
  }
}

/** How long doctor waits for an agent's answer, and for Ollama's. */
const DOCTOR_TIMEOUT_MS = 10_000;
const DOCTOR_CLOSE_MS = 2_000;

/** @returns the exit status */
async function runDoctor(options: Options, json: boolean): Promise<number> {
  const stateDir = options.stateDir ?? defaultStateDir("gpu-agent");
  const signal = stopSignal();
  const rememberIn = rememberedFileSystem(stateDir);
  const transport = openTransport(options.share, {
    create: "never",
    watch: options.watch,
    clock: systemClock,
    log: silentLog,
    ...(rememberIn === undefined ? {} : { rememberIn }),
  });
  const courier = new Courier(transport, { sender: "doctor", timeoutMs: DOCTOR_TIMEOUT_MS });
  const box = {
    name: options.name,
    stateDir,
    ollama: new Ollama({ url: ollamaUrl(options), requestTimeoutMs: DOCTOR_TIMEOUT_MS }),
    disk: await new ModelsFolder(modelsDir(options)).look(systemClock),
    signal,
  };
  const checks = async function* () {
    yield* examineBox(box);
    yield* examine({ transport, courier, signal });
  };
  try {
    return await printChecks(checks(), stdoutReport(json), signal);
  } finally {
    // The result is known: what a share that hangs keeps is left to the sweep.
    const closed = courier.close().then(async () => await transport.close());
    await Promise.race([closed.catch(() => undefined), systemClock.sleep(DOCTOR_CLOSE_MS)]);
  }
}

/** Waits for each write: ending the process drops what a slow pipe has not taken. */
function stdoutReport(json: boolean): Report {
  const { stdout } = process;
  const write = async (text: string): Promise<void> => {
    await new Promise<void>((resolve) => stdout.write(`${text}\n`, () => resolve()));
  };
  return {
    json,
    // A terminal that does not know its size says 0.
    width: stdout.isTTY ? stdout.columns || 80 : Number.POSITIVE_INFINITY,
    line: write,
    document: async (document) => await write(JSON.stringify(document, null, stdout.isTTY ? 2 : undefined)),
  };
}

function readIdentity(name: string | undefined, stateDir: string): Identity {
  const startedAt = isoTime(systemClock.now());
  return { agent: agentName(name), instance: readInstance(stateDir), host: hostname(), startedAt };
}

function parts(options: Options, stateDir: string, { log, service }: { log: Log; service: ServiceManager }) {
  const { share, init, watch, insecureRegistry = [] } = options;
  return {
    agentVersion: VERSION,
    transport: openTransport(share, {
      create: init ? "always" : "network",
      watch,
      clock: systemClock,
      log,
      rememberIn: join(stateDir, "file-system"),
    }),
    ollama: new Ollama({
      url: ollamaUrl(options),
      insecureRegistries: insecureRegistry,
      stallMs: options.stallTimeout * 1000,
    }),
    registry: options.preflight === "on" ? new Registry({ insecureRegistries: insecureRegistry }) : null,
    diskReserve: options.diskReserve === undefined ? defaultReserve : parseDiskReserve(options.diskReserve),
    protect: options.protect ?? [],
    maxPulls: options.maxPulls,
    pullLimits: {
      pullTimeoutMs: (options.pullTimeout ?? options.pullPatience ?? 86_400) * 1000,
      registryTimeoutMs: options.registryTimeout * 1000,
      saveIntervalMs: options.pullSaveInterval * 1000,
    },
    hostNames: new HostNames(insecureRegistry),
    sharedInbox: options.sharedInbox,
    listTtlMs: options.listTtl * 1000,
    changeTtlMs: options.changeTtl * 1000,
    modelsDir: modelsDir(options),
    service,
    clock: systemClock,
    log,
  };
}

function ollamaUrl({ ollama }: Options): string {
  return parseOllamaUrl(ollama ?? (process.env["OLLAMA_HOST"] || "http://127.0.0.1:11434"));
}

function modelsDir({ ollamaModels }: Options): string | undefined {
  return ollamaModels ?? (process.env["OLLAMA_MODELS"] || undefined);
}

const STOP_WITHIN_MS = 9500;

/** Aborts at SIGTERM or SIGINT; a second one ends the process at once. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort();
      // Whatever a share that hangs still holds up: the process ends when it was told to.
      setTimeout(() => process.exit(ERROR_CODES.unavailable.exit), STOP_WITHIN_MS).unref();
    });
  }
  return controller.signal;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
