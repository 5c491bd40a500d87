// The verb forget: removes from the share what is left of boxes that are gone.
import { asCourierError, CourierError } from "../../base/errors.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { stillThere } from "../../courier/selection.ts";
import { forgottenDocument } from "../../documents/forgotten.ts";
import type { PlannedChange } from "../../documents/planned.ts";
import type { Forgotten } from "../../transport.ts";
import { type ChangeChoices, mayChange } from "../asking/confirm.ts";
import { askEach, outcomesStatus, printOutcomes } from "../asking/outcomes.ts";
import { type Plan, planOf } from "../asking/plan.ts";
import { DRY_RUN, examples, type Program, YES } from "../base_command.ts";
import { parseAgents } from "../output/agent_names.ts";
import { type Run, type Session, shareOf } from "../session.ts";

export function addForgetVerb(program: Program, run: Run): void {
  program
    .command("forget")
    .summary("Remove what is left of boxes that are gone.")
    .description(
      "Remove what is left of boxes that are gone for good: their state, their inbox and the commands in it. An agent that " +
        "reported in the last 5 minutes, or stopped in the last 20 seconds, is not forgotten. Its key stays known: only " +
        "`gpuctl trust` accepts another box under the name.",
    )
    .argument("<agent...>", "as for --agent: a name, pattern or range", parseAgents)
    .addOption(YES)
    .addOption(DRY_RUN)
    .addHelpText("after", examples("forget gpu-10", "forget 'gpu-[10-12]' --yes", "forget gpu-10 --dry-run"))
    .action(async (agents, choices) => await run(async (session) => await forgetAgents(session, agents, choices)));
}

async function forgetAgents(session: Session, agents: readonly string[], choices: ChangeChoices): Promise<number> {
  const { courier, printer, io } = session;
  // --dry-run, too, needs the share.
  shareOf(session);
  const views = await courier.choose([...new Set(agents)]);
  const plan = async (): Promise<Plan> =>
    planOf(await Promise.all(views.map(async (view) => await planned(session, view))));
  if (!(await mayChange(session, plan, choices))) return 0;
  const outcomes = await askEach(views, async (agent) => await forgetAgent(session, agent));
  if (printer.json) printer.document(forgottenDocument(outcomes));
  else {
    printOutcomes(session, outcomes, "RESULT", describeForgotten);
    const known = new Set((await courier.knownKeys()).map((each) => each.agent));
    for (const { agent, answer } of outcomes)
      if (answer !== undefined && known.has(agent))
        printer.note(
          `The key of ${agent} stays known`,
          `To accept another box under this name: gpuctl trust ${agent} KEY`,
        );
  }
  return outcomesStatus(outcomes, io.signal);
}

/** @returns when the document of an agent that is gone was published @throws CourierError `conflict` when it is there */
async function requireGone(session: Session, view: AgentView): Promise<number> {
  const { transport } = shareOf(session);
  const record = await transport.readState(view.agent);
  if (record === null) throw new CourierError("not_found", `${view.agent} has no state on this share`);
  const there = stillThere(view, transport.now() - record.publishedAtMs);
  if (there !== undefined) throw there;
  return record.publishedAtMs;
}

/** @throws CourierError as `requireGone()`; `conflict` when it came back at this moment */
async function forgetAgent(session: Session, agent: string): Promise<Forgotten> {
  const [view] = await session.courier.choose([agent]);
  if (view === undefined) throw new CourierError("not_found", `${agent} has no state on this share`);
  const forgotten = await shareOf(session).transport.forget(agent, await requireGone(session, view));
  if (forgotten === null) throw new CourierError("conflict", `Cannot forget ${agent}: it is there again`);
  return forgotten;
}

async function planned(session: Session, view: AgentView): Promise<PlannedChange> {
  const { agent } = view;
  const skipped = await requireGone(session, view).then(
    () => null,
    (error: unknown) => asCourierError(error).message,
  );
  return { agent, model: null, verb: "forget", size: null, skipped };
}

function describeForgotten({ commands }: Forgotten): string {
  const unread = commands === 0 ? "" : ` with ${commands} unread ${commands === 1 ? "command" : "commands"}`;
  return `removed its state and its inbox${unread}`;
}
