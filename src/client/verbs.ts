// gpuctl's verbs: their arguments, their help, and what each runs. Imports the flags and the verbs' own files.
import { flag, parse } from "../program/flags.ts";
import { examples, type Program, type Run } from "./base_command.ts";
import { listAgents } from "./verbs/agents.ts";
import { cancelJobs } from "./verbs/cancel.ts";
import { runDoctor } from "./verbs/doctor.ts";
import { listJobs } from "./verbs/jobs.ts";
import { watchJobs } from "./verbs/jobs_watch.ts";
import { listRunning, unloadModel } from "./verbs/memory.ts";
import { copyModel, listModels, removeModel } from "./verbs/models.ts";
import { pingAgents } from "./verbs/ping.ts";
import { pullModel } from "./verbs/pull.ts";
import { showModel } from "./verbs/show.ts";

export function addAgentVerbs(program: Program, run: Run): void {
  program
    .command("agents")
    .description("Show the agents there are and how they are, whether or not they answer.")
    .addHelpText("after", examples("agents", "agents --json | jq '.agents[] | select(.status == \"offline\")'"))
    .action(async () => await run(listAgents));
  program
    .command("ping")
    .summary("Measure how long each agent takes to answer.")
    .description(
      "Measure how long each agent takes to answer. With --count or --interval again " +
        "and again, with a summary at the end; Ctrl-C ends it.",
    )
    .addOption(flag("--count <n>", "how often; alone: once a second").argParser(parse.count))
    .addOption(flag("--interval <seconds>", "from one ping to the next; alone: until Ctrl-C").argParser(parse.seconds))
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
    .description("Show the installed models and which agents hold them.")
    .addOption(flag("--fresh", "ask the agents rather than read what they published"))
    .addHelpText("after", examples("list", "list --agent gpu-1,gpu-2", "list --fresh"))
    .action(async ({ fresh = false }) => await run(async (session) => await listModels(session, { fresh })));
  program
    .command("show")
    .summary("Show one model: what it is, what it can, its license.")
    .description(
      "Show one model: what it is, what it can, its license. Without --agent on an agent that has it.\n" +
        "--json has all that Ollama tells, the template too.",
    )
    .argument("<model>", "as gpuctl list shows it")
    .addHelpText("after", examples("show phi4", "show phi4 --agent gpu-1", "show phi4 --json | jq -r .show.template"))
    .action(async (model) => await run(async (session) => await showModel(session, model)));
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
  program
    .command("cp")
    .summary("Give a model a second name.")
    .description("Give a model a second name. It takes no room. A model that has this name already is replaced.")
    .argument("<model>", "as gpuctl list shows it")
    .argument("<name>", "the second name")
    .addHelpText("after", examples("cp phi4 my-phi4", "cp phi4 phi4:before --all"))
    .action(async (model, name) => await run(async (session) => await copyModel(session, model, name)));
  addMemoryVerbs(program, run);
}

function addMemoryVerbs(program: Program, run: Run): void {
  program
    .command("ps")
    .description("Show the models in memory, and for how long they stay there unused.")
    .addOption(flag("--fresh", "ask the agents rather than read what they published"))
    .addHelpText("after", examples("ps", "ps --agent gpu-1 --fresh"))
    .action(async ({ fresh = false }) => await run(async (session) => await listRunning(session, { fresh })));
  program
    .command("stop")
    .summary("Take a model out of memory.")
    .description("Take a model out of memory. It stays installed, and is loaded again when it is next used.")
    .argument("<model>", "as gpuctl ps shows it")
    .addHelpText("after", examples("stop phi4", "stop phi4 --all"))
    .action(async (model) => await run(async (session) => await unloadModel(session, model)));
}

/** @param isWatching whether the command line says --watch alone */
export function addJobVerbs(program: Program, run: Run, isWatching: () => boolean): void {
  program
    .command("jobs")
    .summary("Show the pulls under way and those that ended last.")
    .description(
      "Show the pulls under way and those that ended last. --watch goes on showing until Ctrl-C: in a terminal " +
        "the table, in a pipe a line per change, with --json a document per change.",
    )
    .addHelpText("after", examples("jobs", "jobs --watch", "jobs --agent gpu-1", "jobs --json | jq '.jobs[] | .state'"))
    .action(async () => await run(isWatching() ? watchJobs : listJobs));
  program
    .command("cancel")
    .summary("Cancel pulls.")
    .description(
      "Cancel pulls, for all who asked for them. What was fetched stays on the box, and the next pull of the " +
        "model goes on from there.\nA model that several agents pull needs --agent or --all.",
    )
    .argument("<job...>", "the model, or the job's id or the end of it, as gpuctl jobs shows them")
    .addHelpText("after", examples("cancel phi4 --agent gpu-1", "cancel phi4 --all", "cancel da066d157a40"))
    .action(async (ids) => await run(async (session) => await cancelJobs(session, ids)));
}

/** @param run without a connection: the share may be what is wrong */
export function addDoctorVerb(program: Program, run: Run): void {
  program
    .command("doctor")
    .summary("Say what is wrong with the share and the agents.")
    .description(
      "Look at the share and the agents, and say what is wrong and what to do. Exits with 1 when something failed.",
    )
    .addHelpText("after", examples("doctor", "doctor --json | jq '.checks[] | select(.result == \"failed\")'"))
    .action(async () => await run(runDoctor));
}
