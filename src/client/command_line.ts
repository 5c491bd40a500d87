// gpuctl's flags, verbs and help. Imports commander's types through config, the session and the verbs.
import { faceCommand, flag, parse } from "../config.ts";
import type { Agents } from "../courier.ts";
import { CourierError } from "../errors.ts";
import { ExitStatus, printError } from "../exit.ts";
import { listAgents } from "./agents.ts";
import { runDoctor } from "./doctor.ts";
import type { ClientIo } from "./io.ts";
import { listJobs } from "./jobs.ts";
import { listModels, removeModel } from "./models.ts";
import { pingAgents } from "./ping.ts";
import { pullModel } from "./pull.ts";
import { connected, runInSession, type Verb } from "./session.ts";

const DEFAULT_TIMEOUT_S = 30;
const DEFAULT_WIDTH = 80;

/** The program with all its verbs; parsing a command line runs it. */
export function gpuctlCommand(argv: readonly string[], io: ClientIo) {
  const program = baseCommand();
  const isJson = (): boolean => argv.includes("--json") || program.opts().json === true;
  program.configureOutput({
    writeOut: (text) => void io.stdout.write(text),
    writeErr: (text) => {
      // Under --json all that comes here is the help, in parts, that answers a command line without a verb.
      if (!isJson()) io.stderr.write(text);
      else if (text.startsWith("Usage:")) io.stderr.write(usageError("No verb is named"));
    },
    outputError: (text) => void io.stderr.write(isJson() ? usageError(text) : text),
    getOutHelpWidth: () => io.stdout.columns || DEFAULT_WIDTH,
    getErrHelpWidth: () => io.stderr.columns || DEFAULT_WIDTH,
  });
  if (isJson()) program.showHelpAfterError(false);

  const runUnconnected: Run = async (verb) => {
    const { share, watch, timeout, agent, all = false } = program.opts();
    const agents = chosenAgents({ agent, all }, (name) => program.getOptionValueSource(name));
    const options = { share, watch, timeoutMs: timeout * 1000, agents, json: isJson() };
    const status = await runInSession(io, options, verb);
    if (status !== 0) throw new ExitStatus(status);
  };
  const run: Run = async (verb) => await runUnconnected(connected(verb));
  addAgentVerbs(program, run);
  addModelVerbs(program, run);
  program
    .command("doctor")
    .description(
      "Look at the share and the agents, and say what is wrong and what to do. Exits with 1 when something failed.",
    )
    .addHelpText("after", examples("doctor", "doctor --json | jq '.checks[] | select(.result == \"failed\")'"))
    .action(async () => await runUnconnected(runDoctor));
  return { program, isJson };
}

type Run = (verb: Verb) => Promise<void>;
type Program = ReturnType<typeof baseCommand>;

function baseCommand() {
  return faceCommand("gpuctl", "List, pull and delete Ollama models on the GPU boxes that a shared folder reaches.")
    .addOption(
      flag("--timeout <seconds>", "how long to wait for an answer, and for an agent that went out of sight")
        .argParser(parse.seconds)
        .default(DEFAULT_TIMEOUT_S),
    )
    .addOption(flag("--agent <name>", "the agent that is meant; repeat it for several").argParser(parse.list))
    .addOption(flag("--all", "all agents that there are"))
    .addOption(flag("--json", "print JSON, errors too"))
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", examples("agents", "list", "pull phi4 --agent gpu-1", "rm phi4 --all", "help pull"));
}

function addAgentVerbs(program: Program, run: Run): void {
  program
    .command("agents")
    .description("Show the agents there are and how they are, whether or not they answer.")
    .addHelpText("after", examples("agents", "agents --json | jq '.agents[] | select(.status == \"offline\")'"))
    .action(async () => await run(listAgents));
  program
    .command("ping")
    .description(
      "Measure how long each agent takes to answer. With --count or --interval again\n" +
        "and again, with a summary at the end; Ctrl-C ends it.",
    )
    .addOption(flag("--count <n>", "how often; alone: once a second").argParser(parse.count))
    .addOption(flag("--interval <seconds>", "from one ping to the next; alone: until Ctrl-C").argParser(parse.seconds))
    .addHelpText("after", examples("ping", "ping --agent gpu-1 --timeout 5", "ping --count 10 --interval 0.5"))
    .action(async ({ count, interval }) => {
      const intervalMs = interval === undefined ? undefined : interval * 1000;
      await run(async (session) => await pingAgents(session, { count, intervalMs }));
    });
  program
    .command("jobs")
    .description("Show the pulls under way and those that ended last.")
    .addHelpText("after", examples("jobs", "jobs --agent gpu-1", "jobs --json | jq '.jobs[] | .state'"))
    .action(async () => await run(listJobs));
}

function addModelVerbs(program: Program, run: Run): void {
  program
    .command("list")
    .alias("ls")
    .description("Show the installed models and which agents hold them.")
    .addOption(flag("--fresh", "ask the agents rather than read what they published"))
    .addHelpText("after", examples("list", "list --agent gpu-1,gpu-2", "list --fresh"))
    .action(async ({ fresh = false }) => await run(async (session) => await listModels(session, { fresh })));
  program
    .command("pull")
    .summary("Pull a model and follow it to the end.")
    .description(
      "Pull a model and follow it to the end. A pull under way is joined. Ctrl-C detaches: the pull goes on.\n" +
        "The exit status is 0 only when every agent asked has the model.",
    )
    .argument("<model>", "as Ollama names it: phi4, user/model:tag, registry.example:5000/user/model:tag")
    .addOption(flag("--force", "also where its disk has too little room left for it"))
    .addHelpText(
      "after",
      examples("pull phi4", "pull llama3.2:1b --agent gpu-1 --agent gpu-2", "pull phi4 --all --json"),
    )
    .action(
      async (model, { force = false }) => await run(async (session) => await pullModel(session, model, { force })),
    );
  program
    .command("rm")
    .description("Delete a model.")
    .argument("<model>", "as gpuctl list shows it")
    .addHelpText("after", examples("rm phi4", "rm phi4 --agent gpu-1", "rm phi4 --all"))
    .action(async (model) => await run(async (session) => await removeModel(session, model)));
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ gpuctl ${line}`).join("\n")}`;
}

/** `--agent` and `--all` exclude each other; one that is typed wins over one of the environment. */
function chosenAgents(
  { agent, all }: { readonly agent?: readonly string[] | undefined; readonly all: boolean },
  source: (name: "agent" | "all") => string | undefined,
): Agents | undefined {
  if (agent?.length === 0)
    throw new CourierError("invalid", "--agent names no agent", { hint: "gpuctl agents shows those there are" });
  if (agent === undefined) return all ? "all" : undefined;
  if (!all || (source("agent") === "cli" && source("all") === "env")) return [...new Set(agent)];
  if (source("all") === "cli" && source("agent") === "env") return "all";
  throw new CourierError("invalid", "--agent and --all exclude each other", { hint: "Give one of them" });
}

/** What commander says of a command line, as a document. */
function usageError(text: string): string {
  let document = "";
  const write = (written: string): void => {
    document = written;
  };
  printError(new CourierError("invalid", text.replace(/^error: /, "").trim(), { hint: "gpuctl --help" }), {
    json: true,
    write,
  });
  return document;
}
