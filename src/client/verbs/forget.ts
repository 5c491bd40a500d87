// The verb forget: removes from the share what is left of boxes that are gone.
import { namesText } from "../../base/order.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { forgottenDocument } from "../../documents/forgotten.ts";
import type { PlannedChange } from "../../documents/planned.ts";
import type { Forgotten } from "../../transport.ts";
import { type ChangeChoices, mayChange } from "../asking/confirm.ts";
import { askEach, outcomesStatus, printOutcomes } from "../asking/outcomes.ts";
import { type Plan, planOf } from "../asking/plan.ts";
import { DRY_RUN, examples, type Program, YES } from "../base_command.ts";
import { parseAgents } from "../output/agent_names.ts";
import type { Run, Session } from "../session.ts";

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
    .action(
      async (agents, choices) => await run(async (session) => await forgetAgents(session, agents, choices), agents),
    );
}

async function forgetAgents(session: Session, agents: readonly string[], choices: ChangeChoices): Promise<number> {
  const { courier, printer, io } = session;
  const views = await courier.choose([...new Set(agents)]);
  const plan = async (): Promise<Plan> =>
    planOf(await Promise.all(views.map(async (view) => await planned(session, view))));
  if (!(await mayChange(session, plan, choices))) return 0;
  const outcomes = await askEach(views, async (agent) => await courier.forget(agent));
  if (printer.json) printer.document(forgottenDocument(outcomes));
  else {
    printOutcomes(session, outcomes, "RESULT", describeForgotten);
    const isForgotten = new Set(outcomes.filter(({ answer }) => answer !== undefined).map(({ agent }) => agent));
    noteKeys(
      session,
      views.filter(({ agent, key }) => key !== null && isForgotten.has(agent)).map(({ agent }) => agent),
    );
  }
  return outcomesStatus(outcomes, io.signal);
}

/** @param agents whose keys are known */
function noteKeys({ printer }: Session, agents: readonly string[]): void {
  const [first, second] = agents;
  if (first === undefined) return;
  if (second === undefined)
    printer.note(`The key of ${first} stays known`, `To accept another box under this name: gpuctl trust ${first} KEY`);
  else
    printer.note(
      `The keys of ${namesText(agents)} stay known`,
      "To accept another box under one of these names: gpuctl trust AGENT KEY",
    );
}

async function planned({ courier }: Session, view: AgentView): Promise<PlannedChange> {
  const kept = await courier.reasonToKeep(view);
  return { agent: view.agent, model: null, verb: "forget", size: null, skipped: kept?.message ?? null };
}

function describeForgotten({ commands }: Forgotten): string {
  const unread = commands === 0 ? "" : ` with ${commands} unread ${commands === 1 ? "command" : "commands"}`;
  return `removed its state and its inbox${unread}`;
}
