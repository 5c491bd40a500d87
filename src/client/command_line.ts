// gpuctl's command line: parsing, and running the verb.

import { CourierError } from "../base/errors.ts";
import type { Agents } from "../courier/selection.ts";
import { ExitStatus, printError } from "../program/exit.ts";
import { VERSION } from "../program/flags.ts";
import { baseCommand, type Program, refuseVariables } from "./base_command.ts";
import { addCompletionVerbs } from "./completion/completion.ts";
import { addHelpVerb } from "./help/help.ts";
import { pointToOptions } from "./help/layout.ts";
import { addVersionVerb } from "./help/version.ts";
import { type ClientIo, WATCH } from "./io.ts";
import { Printer } from "./output/printer.ts";
import { WaitingLine } from "./output/waiting_line.ts";
import { addOllamaVerb } from "./over_http/proxy/ollama_verb.ts";
import { addProxyVerb } from "./over_http/proxy/proxy_verb.ts";
import { addRosterVerbs } from "./roster/verbs.ts";
import type { Flags } from "./run/ignored_flags.ts";
import { runInSession } from "./run/in_session.ts";
import { reach } from "./run/reach.ts";
import { connected, type Run } from "./session.ts";
import { addAgentsVerb } from "./verbs/agents.ts";
import { addCpVerb } from "./verbs/cp.ts";
import { addApplyVerb } from "./verbs/desired/apply.ts";
import { addOutdatedVerb } from "./verbs/desired/outdated.ts";
import { addPlanVerb } from "./verbs/desired/plan.ts";
import { addUpdateVerb } from "./verbs/desired/update.ts";
import { addDiskVerb } from "./verbs/disk/disk.ts";
import { addPruneVerb } from "./verbs/disk/prune.ts";
import { addDoctorVerb } from "./verbs/doctor.ts";
import { addForgetVerb } from "./verbs/forget.ts";
import { addCancelVerb } from "./verbs/jobs/cancel.ts";
import { addWaitVerb } from "./verbs/jobs/wait.ts";
import { addJobsVerb } from "./verbs/jobs.ts";
import { addListVerb } from "./verbs/list.ts";
import { addLoadVerb } from "./verbs/memory/load.ts";
import { addPsVerb } from "./verbs/memory/ps.ts";
import { addStopVerb } from "./verbs/memory/stop.ts";
import { addMirrorVerbs } from "./verbs/mirror/verbs.ts";
import { addKeyVerb } from "./verbs/offline/key.ts";
import { addNatsPermissionsVerb } from "./verbs/offline/nats_permissions.ts";
import { addPingVerb } from "./verbs/ping.ts";
import { addPullVerb } from "./verbs/pull.ts";
import { addRmVerb } from "./verbs/rm.ts";
import { addShowVerb } from "./verbs/show.ts";
import { addTrustVerb } from "./verbs/trust.ts";

const DEFAULT_WIDTH = 80;

/** The program with all its verbs; parsing a command line runs it. */
export function gpuctlCommand(argv: readonly string[], io: ClientIo) {
  const program = baseCommand();
  const isJson = (): boolean => argv.includes("--json") || program.opts().json === true;
  configureOutput(program, io, isJson);

  let running: Flags | undefined;
  program.hook("preAction", (_, verb) => void (running = verb));
  program.hook("preAction", (_, verb) => refuseVariables(verb.name(), verb.optsWithGlobals()));

  const runUnconnected: Run = async (verb, named = []) => {
    const { timeout, agent, all = false } = program.opts();
    const agents = chosenAgents({ named, agent, all }, (name) => program.getOptionValueSource(name));
    const timeoutMs = timeout * 1000;
    const waiting = new WaitingLine(io.stderr, io.clock);
    const shown = { ...io, stdout: waiting.inFrontOf(io.stdout), stderr: waiting.inFrontOf(io.stderr) };
    const seen = { printer: new Printer(shown, isJson()), io: shown, waiting, timeoutMs, agents };
    const reached = await reach(program, running, shown, seen);
    const status = await runInSession(reached, seen, verb);
    if (status !== 0) throw new ExitStatus(status);
  };
  const runWatching: Run = async (verb, named) => await runUnconnected(connected(verb), named);
  const run: Run = async (verb, named) => {
    if (program.opts().watch === true)
      throw new CourierError("invalid", "--watch needs a value here", {
        hint: `Only jobs has --watch. How the share is watched: --share-watch ${WATCH.join(", ")}`,
      });
    await runWatching(verb, named);
  };
  addVerbs(program, io, { run, runWatching, runUnconnected });
  addOwnVerbs(program, io, runUnconnected, () => new Printer(io, isJson()));
  addCompletionVerbs(program, io);
  addHelpVerb(program, io);
  pointToOptions(program);
  program.on("option:v", () => {
    io.stdout.write(`${VERSION}\n`);
    throw new ExitStatus(0);
  });
  return { program, isJson };
}

/** Help and errors of the command line go where everything else goes, under --json as documents. */
function configureOutput(program: Program, io: ClientIo, isJson: () => boolean): void {
  program.configureOutput({
    writeOut: (text) => void io.stdout.write(text),
    writeErr: (text) => {
      // Under --json all that comes here is the help, in parts, that answers a command line without a verb.
      if (!isJson()) io.stderr.write(text);
      else if (text.startsWith("Usage:")) io.stderr.write(usageError("No verb given"));
    },
    outputError: (text) => void io.stderr.write(isJson() ? usageError(text) : text),
    getOutHelpWidth: () => io.stdout.columns || DEFAULT_WIDTH,
    getErrHelpWidth: () => io.stderr.columns || DEFAULT_WIDTH,
  });
  if (isJson()) program.showHelpAfterError(false);
}

interface Runs {
  readonly run: Run;
  /** Also with --watch without a value, the old name of --follow. */
  readonly runWatching: Run;
  /** The share may be the problem. */
  readonly runUnconnected: Run;
}

/** In the order of the help. */
function addVerbs(program: Program, io: ClientIo, { run, runWatching, runUnconnected }: Runs): void {
  addAgentsVerb(program, run);
  addPingVerb(program, run);
  addListVerb(program, run);
  addShowVerb(program, run);
  addPullVerb(program, run);
  addOutdatedVerb(program, run);
  addUpdateVerb(program, run);
  addPlanVerb(program, runUnconnected);
  addApplyVerb(program, runUnconnected);
  addWaitVerb(program, run);
  addRmVerb(program, run);
  addCpVerb(program, run);
  addPsVerb(program, run);
  addLoadVerb(program, run);
  addStopVerb(program, run);
  addDiskVerb(program, run);
  addPruneVerb(program, run);
  addJobsVerb(program, runWatching, () => program.opts().watch === true);
  addCancelVerb(program, run);
  addForgetVerb(program, run);
  addTrustVerb(program, runUnconnected);
  addDoctorVerb(program, runUnconnected);
  addOllamaVerb(program, io, run);
  addProxyVerb(program, io, run);
}

/** Verbs that need no fleet. */
function addOwnVerbs(program: Program, io: ClientIo, run: Run, openPrinter: () => Printer): void {
  addKeyVerb(program, io, openPrinter);
  addRosterVerbs(program, io, { run, openPrinter });
  addMirrorVerbs(program, { io, openPrinter, run });
  addNatsPermissionsVerb(program, openPrinter);
  addVersionVerb(program, openPrinter);
}

interface AgentChoices {
  readonly named: readonly string[];
  readonly agent: readonly string[] | undefined;
  readonly all: boolean;
}

/** Arguments, `--agent` and `--all` exclude each other; what is typed wins over what the environment has. */
function chosenAgents(
  { named, agent, all }: AgentChoices,
  source: (name: "agent" | "all") => string | undefined,
): Agents | undefined {
  if (named.length > 0) {
    const flag = (["agent", "all"] as const).find((name) => source(name) === "cli");
    if (flag === undefined) return [...new Set(named)];
    throw new CourierError("invalid", `Agents as arguments and --${flag} exclude each other`, {
      hint: "Use one of them",
    });
  }
  if (agent === undefined) return all ? "all" : undefined;
  if (!all || (source("agent") === "cli" && source("all") === "env")) return [...new Set(agent)];
  if (source("all") === "cli" && source("agent") === "env") return "all";
  throw new CourierError("invalid", "--agent and --all exclude each other", { hint: "Use one of them" });
}

/** Commander's error text as a JSON document. */
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
