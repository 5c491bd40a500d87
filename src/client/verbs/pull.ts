// The verb pull: starts or joins pulls on every agent asked, and follows them, or with --detach does not.
import { CourierError } from "../../base/errors.ts";
import { normalModelName } from "../../base/model_name.ts";
import { namesText } from "../../base/order.ts";
import { jobsDocument } from "../../documents/jobs.ts";
import { registryFlags } from "../../program/registry/flags.ts";
import { type Job, windowOf } from "../../protocol.ts";
import type { Mirror } from "../../transport/mirror/mirror.ts";
import { type ChangeChoices, mayChange } from "../asking/confirm.ts";
import { chosenViews, exitStatus } from "../asking/outcomes.ts";
import { planChanges } from "../asking/plan.ts";
import { DRY_RUN, examples, type Program, YES } from "../base_command.ts";
import type { Pulled } from "../pulls/follow.ts";
import { MAX_WAIT } from "../pulls/max_wait.ts";
import type { FetchChoices } from "../pulls/mirror/local_fetch.ts";
import { openMirror } from "../pulls/mirror/open.ts";
import { leaveToServer, throughMirror } from "../pulls/mirror/through_mirror.ts";
import { failureCode, printFailures } from "../pulls/results.ts";
import { type AskedPull, pullToEnd, type StartChoices, startPull } from "../pulls/start.ts";
import type { Run, Session } from "../session.ts";

interface PullChoices extends ChangeChoices, StartChoices, FetchChoices {
  /** Ends when every agent has accepted. */
  readonly detach?: boolean | undefined;
  /** Fetch the models into the mirror first. */
  readonly mirror?: boolean | undefined;
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
    .option("--now", "pull outside the hours of the box's --pull-window too, also a pull that waits for them")
    .option("--mirror", "fetch the models into the mirror once, and pull them from there: one download for all agents")
    .addOption(registryFlags.allowRegistry("with --mirror: as for gpuctl mirror add; repeatable (default: *)"))
    .addOption(registryFlags.insecureRegistry("with --mirror: a registry without TLS that may be used too; repeatable"))
    .addOption(YES)
    .addOption(DRY_RUN)
    .addHelpText(
      "after",
      examples(
        "pull phi4",
        "pull llama3.2:1b --agent gpu-1,gpu-2",
        "pull phi4 --all --detach",
        "pull phi4 --all --mirror",
        "pull phi4 --now",
      ),
    )
    .action(async (models, choices, verb) => {
      const typed = (["allowRegistry", "insecureRegistry"] as const).some(
        (name) => verb.getOptionValueSource(name) === "cli",
      );
      if (typed && choices.mirror !== true) throw onlyForMirror();
      await run(async (session) => await pullModels(session, models, choices, () => openMirror(program)));
    });
}

/** Without the mirror each agent asks the registry, by its own settings. */
function onlyForMirror(): CourierError {
  return new CourierError("invalid", "--allow-registry and --insecure-registry are for --mirror", {
    hint: "Add --mirror, or set them on the box, where gpu-agent has the same flags",
  });
}

async function pullModels(
  session: Session,
  models: readonly string[],
  choices: PullChoices,
  mirror: () => Mirror,
): Promise<number> {
  const names = [...new Set(models.map((model) => normalModelName(model)))];
  const views = await chosenViews(session);
  if (!(await mayChange(session, async () => await planChanges(session, "pull", views, names), choices))) return 0;
  const pulls = names.flatMap((model) => views.map((view) => ({ agent: view.agent, model, view })));
  if (choices.mirror === true) return await pullMirrored(session, pulls, choices, mirror);
  return choices.detach === true ? await startPulls(session, pulls, choices) : await pullToEnd(session, pulls, choices);
}

async function pullMirrored(
  session: Session,
  pulls: readonly AskedPull[],
  choices: PullChoices,
  mirror: () => Mirror,
): Promise<number> {
  if (choices.maxWait !== undefined) {
    throw new CourierError(
      "invalid",
      "--max-wait limits a pull, and --mirror fetches the model first: use one of them",
      {
        hint: "gpuctl mirror add MODEL, and then gpuctl pull MODEL --max-wait SECONDS",
      },
    );
  }
  const onServer = session.courier.mirror;
  if (choices.detach === true && onServer !== null) return await leaveToServer(session, onServer, pulls, choices);
  const through = await throughMirror(session, pulls, choices, mirror);
  const status =
    choices.detach === true
      ? await startPulls(session, through.pulls, choices, through.start)
      : await pullToEnd(session, through.pulls, choices, through.start);
  return through.status || status;
}

/** `gpu-1 waits for its window until 2026-11-30 20:00 Europe/Berlin`, or how many boxes do. */
function hoursText(waiting: readonly Job[]): string {
  const names = [...new Set(waiting.map(({ agent }) => agent))];
  const [first] = waiting;
  if (names.length > 1 || first === undefined) return `${namesText(names)} wait for their windows`;
  return `${first.agent} ${first.waiting_for ?? ""}`;
}

/** --detach: the jobs, and the errors of the agents that did not accept. */
async function startPulls(
  session: Session,
  pulls: readonly AskedPull[],
  choices: PullChoices,
  start = async (pull: AskedPull): Promise<Pulled> => await startPull(session, pull, choices),
): Promise<number> {
  const { printer, io } = session;
  const pulled = await Promise.all(pulls.map(start));
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
    const waiting = accepted.filter((job) => windowOf(job) !== null);
    if (waiting.length > 0) printer.note(hoursText(waiting), "--now pulls at once");
  }
  return exitStatus(
    pulled.map(({ job, error }) => error?.code ?? (job.state === "failed" ? failureCode(job) : null)),
    io.signal,
  );
}
