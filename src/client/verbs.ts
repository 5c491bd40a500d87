// gpuctl's verbs: their arguments, help and actions.
import { flag, parse, VERSION } from "../program/flags.ts";
import { examples, type Program, type Run } from "./base_command.ts";
import type { Printer } from "./output/printer.ts";
import { listAgents } from "./verbs/agents.ts";
import { cancelJobs } from "./verbs/cancel.ts";
import { runDoctor } from "./verbs/doctor.ts";
import { listJobs } from "./verbs/jobs.ts";
import { watchJobs } from "./verbs/jobs_watch.ts";
import { listRunning, unloadModel } from "./verbs/memory.ts";
import { copyModel, listModels, removeModels } from "./verbs/models.ts";
import { pingAgents } from "./verbs/ping.ts";
import { pullModel } from "./verbs/pull.ts";
import { showModel } from "./verbs/show.ts";

export function addAgentVerbs(program: Program, run: Run): void {
  program
    .command("agents")
    .description("List the agents and their status.")
    .addHelpText("after", examples("agents", "agents --json | jq '.agents[] | select(.status == \"offline\")'"))
    .action(async () => await run(listAgents));
  program
    .command("ping")
    .summary("Measure the round trip to each agent.")
    .description(
      "Measure the round trip to each agent. With --count or --interval repeatedly, " +
        "with a summary at the end; Ctrl-C stops it.",
    )
    .addOption(flag("--count <n>", "number of pings, one a second without --interval").argParser(parse.count))
    .addOption(
      flag("--interval <seconds>", "time between pings; without --count until Ctrl-C").argParser(parse.seconds),
    )
    .addHelpText("after", examples("ping", "ping --agent gpu-1 --timeout 5", "ping --count 10 --interval 0.5"))
    .action(async ({ count, interval }) => {
      const intervalMs = interval === undefined ? undefined : interval * 1000;
      await run(async (session) => await pingAgents(session, { count, intervalMs }));
    });
}

export function addModelVerbs(program: Program, run: Run): void {
  program
    .command("list")
    .alias("ls")
    .description("List the installed models and the agents that have them.")
    .addOption(flag("--fresh", "ask the agents instead of reading their published state"))
    .addHelpText("after", examples("list", "list --agent gpu-1,gpu-2", "list --fresh"))
    .action(async ({ fresh = false }) => await run(async (session) => await listModels(session, { fresh })));
  program
    .command("show")
    .summary("Show a model's details, capabilities and license.")
    .description(
      "Show a model's details, capabilities and license. Without --agent, of an agent that has it.\n" +
        "--json prints everything that Ollama returns, including the template.",
    )
    .argument("<model>", "as gpuctl list shows it")
    .addHelpText("after", examples("show phi4", "show phi4 --agent gpu-1", "show phi4 --json | jq -r .show.template"))
    .action(async (model) => await run(async (session) => await showModel(session, model)));
  addChangingVerbs(program, run);
  addMemoryVerbs(program, run);
}

function addChangingVerbs(program: Program, run: Run): void {
  program
    .command("pull")
    .summary("Pull a model and follow it to the end.")
    .description(
      "Pull a model and follow it to the end. Joins a pull that is already running. After Ctrl-C the pull continues.\n" +
        "The exit status is 0 only if every agent has the model in the end.",
    )
    .argument("<model>", "as Ollama names it: phi4, user/model:tag, registry.example:5000/user/model:tag")
    .addOption(flag("--force", "pull even if the agent says the model does not fit"))
    .addHelpText(
      "after",
      examples("pull phi4", "pull llama3.2:1b --agent gpu-1 --agent gpu-2", "pull phi4 --all --json"),
    )
    .action(
      async (model, { force = false }) => await run(async (session) => await pullModel(session, model, { force })),
    );
  program
    .command("rm")
    .description("Delete models.")
    .argument("<model...>", "as gpuctl list shows it")
    .addHelpText("after", examples("rm phi4", "rm phi4 llama3.2:1b --agent gpu-1", "rm phi4 --all"))
    .action(async (models) => await run(async (session) => await removeModels(session, models)));
  program
    .command("cp")
    .summary("Give a model a second name.")
    .description("Give a model a second name. It takes no space. A model that already has this name is replaced.")
    .argument("<model>", "as gpuctl list shows it")
    .argument("<name>", "the second name")
    .addHelpText("after", examples("cp phi4 my-phi4", "cp phi4 phi4:before --all"))
    .action(async (model, name) => await run(async (session) => await copyModel(session, model, name)));
}

function addMemoryVerbs(program: Program, run: Run): void {
  program
    .command("ps")
    .description("List loaded models and when they will be unloaded.")
    .addOption(flag("--fresh", "ask the agents instead of reading their published state"))
    .addHelpText("after", examples("ps", "ps --agent gpu-1 --fresh"))
    .action(async ({ fresh = false }) => await run(async (session) => await listRunning(session, { fresh })));
  program
    .command("stop")
    .summary("Unload a model from memory.")
    .description("Unload a model from memory. It stays installed, and is loaded again at its next use.")
    .argument("<model>", "as gpuctl ps shows it")
    .addHelpText("after", examples("stop phi4", "stop phi4 --all"))
    .action(async (model) => await run(async (session) => await unloadModel(session, model)));
}

/** @param isWatching whether the command line has --watch without a value, the old name of --follow */
export function addJobVerbs(program: Program, run: Run, isWatching: () => boolean): void {
  program
    .command("jobs")
    .summary("List running, queued and recent pulls.")
    .description(
      "List running, queued and recent pulls. --follow updates the list until Ctrl-C: a table in a terminal, " +
        "a line per change in a pipe, a document per change with --json.",
    )
    .addOption(flag("--follow", "update the list until Ctrl-C"))
    .addHelpText(
      "after",
      examples("jobs", "jobs --follow", "jobs --agent gpu-1", "jobs --json | jq '.jobs[] | .state'"),
    )
    .action(async ({ follow = false }) => await run(follow || isWatching() ? watchJobs : listJobs));
  program
    .command("cancel")
    .summary("Cancel pulls.")
    .description(
      "Cancel pulls, for everyone who asked for them. Downloaded data stays on the agent's disk, and the next " +
        "pull of the model continues from there.\nA model that several agents pull needs --agent or --all.",
    )
    .argument("<job...>", "the model, or the job's id or its end, as in gpuctl jobs")
    .addHelpText("after", examples("cancel phi4 --agent gpu-1", "cancel phi4 --all", "cancel da066d157a40"))
    .action(async (ids) => await run(async (session) => await cancelJobs(session, ids)));
}

/** @param run without a connection: the share may be the problem */
export function addDoctorVerb(program: Program, run: Run): void {
  program
    .command("doctor")
    .summary("Check the share and the agents, and suggest fixes.")
    .description("Check the share and the agents, and suggest fixes. Exits with 1 if a check failed.")
    .addHelpText("after", examples("doctor", "doctor --json | jq '.checks[] | select(.result == \"failed\")'"))
    .action(async () => await run(runDoctor));
}

/** `--version` as a verb, as other command lines have it. It needs no share. */
export function addVersionVerb(program: Program, openPrinter: () => Printer): void {
  program
    .command("version")
    .description("Print the version.")
    .addHelpText("after", examples("version", "version --json"))
    .action(() => {
      const printer = openPrinter();
      if (printer.json) printer.document({ version: VERSION });
      else printer.text(`${VERSION}\n`);
    });
}
