// The verb pull: starts or joins pulls on every agent asked, and follows them, or with --detach does not.
import { isoTime } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import { normalModelName } from "../../base/model_name.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { jobsDocument, refusedJob } from "../../documents/jobs.ts";
import type { Job } from "../../protocol.ts";
import { type ChangeChoices, mayChange } from "../asking/confirm.ts";
import { chosenViews, exitStatus } from "../asking/outcomes.ts";
import { planChanges } from "../asking/plan.ts";
import { DRY_RUN, examples, type Program, YES } from "../base_command.ts";
import { agentFlag } from "../output/agent_names.ts";
import type { Pull } from "../output/pull_board.ts";
import { askedInVain } from "../output/unavailable.ts";
import { follow, openProgress, type Pulled } from "../pulls/follow.ts";
import { MAX_WAIT, withinMaxWait } from "../pulls/max_wait.ts";
import { failureCode, printFailures, reportPulled } from "../pulls/results.ts";
import type { Run, Session } from "../session.ts";

interface PullChoices extends ChangeChoices {
  /** Also where the disk is too small. */
  readonly force?: boolean | undefined;
  /** In seconds; undefined: to the end. */
  readonly maxWait?: number | undefined;
  /** Ends when every agent has accepted. */
  readonly detach?: boolean | undefined;
}

export function addPullVerb(program: Program, run: Run): void {
  program
    .command("pull")
    .summary("Pull models and follow them to the end.")
    .description(
      "Pull models and follow them to the end. Joins pulls that are already running. After Ctrl-C they continue.\n" +
        "The exit status is 0 only if every agent has the models in the end, or with --detach has accepted the pulls.",
    )
    .argument("<model...>", "as Ollama names it: phi4, user/model:tag, registry.example:5000/user/model:tag")
    .option("-d, --detach", "print the job ids once the agents have accepted, and end")
    .addOption(MAX_WAIT)
    .option("--force", "pull even if the agent says the model does not fit")
    .addOption(YES)
    .addOption(DRY_RUN)
    .addHelpText("after", examples("pull phi4", "pull llama3.2:1b --agent gpu-1,gpu-2", "pull phi4 --all --detach"))
    .action(async (models, choices) => await run(async (session) => await pullModels(session, models, choices)));
}

async function pullModels(session: Session, models: readonly string[], choices: PullChoices): Promise<number> {
  const names = [...new Set(models.map((model) => normalModelName(model)))];
  const views = await chosenViews(session);
  if (!(await mayChange(session, async () => await planChanges(session, "pull", views, names), choices))) return 0;
  const pulls = names.flatMap((model) => views.map((view) => ({ agent: view.agent, model, view })));
  if (choices.detach === true) return await startPulls(session, pulls, choices);
  const progress = openProgress(session, pulls);
  const pulled = await withinMaxWait(session, choices.maxWait, async (signal) => {
    try {
      return await Promise.all(
        pulls.map(async (pull) => {
          const started = await start(session, pull, choices);
          progress.show(started.job);
          return started.error === undefined ? await follow(session, started.job, progress, signal) : started;
        }),
      );
    } finally {
      progress.close();
    }
  });
  return reportPulled(session, pulled, progress, (left) => againText(session, left, pulls));
}

/** --detach: the jobs, and the errors of the agents that did not accept. */
async function startPulls(session: Session, pulls: readonly AskedPull[], choices: PullChoices): Promise<number> {
  const { printer, io } = session;
  const pulled = await Promise.all(pulls.map(async (pull) => await start(session, pull, choices)));
  const refused = pulled.filter(({ error }) => error !== undefined);
  if (printer.json) printer.document(jobsDocument({ jobs: pulled.map(({ job }) => job) }));
  else {
    const accepted = pulled.filter(({ error }) => error === undefined).map(({ job }) => job);
    const rows = accepted.map(({ id, agent, model, state }) => [id ?? "", agent, model, state]);
    const columns = [{ title: "JOB" }, { title: "AGENT" }, { title: "MODEL" }, { title: "STATE" }];
    if (rows.length > 0) printer.table(columns, rows);
    printFailures(session, refused, pulled.length);
    const started = [...new Set(accepted.map(({ model }) => model))].join(" ");
    if (started !== "") printer.note(`gpuctl wait ${started} waits for the end, gpuctl jobs shows the progress`);
  }
  return exitStatus(
    pulled.map(({ job, error }) => error?.code ?? (job.state === "failed" ? failureCode(job) : null)),
    io.signal,
  );
}

interface AskedPull extends Pull {
  /** Of its agent, before it was asked. */
  readonly view: AgentView;
}

/** Never rejects: a refusal is a failed job. */
async function start(session: Session, { agent, model, view }: AskedPull, { force }: PullChoices): Promise<Pulled> {
  const { courier, io } = session;
  try {
    return { job: await courier.pullModel(agent, model, { force, signal: io.signal }) };
  } catch (error) {
    const refusal = asCourierError(error);
    const job = refusedJob(agent, model, refusal, Bun.randomUUIDv7(), isoTime(courier.now()));
    return { job, error: refusal, ...askedInVain(view, refusal) };
  }
}

/** The command line that follows the pulls again that are left. */
function againText({ agents }: Session, left: readonly Job[], pulls: readonly Pull[]): string {
  const models = [...new Set(left.map(({ model }) => model))].join(" ");
  const flags = agents === "all" && left.length === pulls.length ? " --all" : agentFlag(left.map(({ agent }) => agent));
  return `gpuctl pull ${models}${agents === undefined ? "" : flags}`;
}
