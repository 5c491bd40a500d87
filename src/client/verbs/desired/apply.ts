// The verb apply: brings the fleet to what a file names.
import { asCourierError, ERROR_CODES } from "../../../base/errors.ts";
import { sameModel } from "../../../base/model_name.ts";
import type { AgentView } from "../../../courier/agent_view.ts";
import { deletedDocument } from "../../../documents/outcomes.ts";
import type { DesiredFleet } from "../../../program/desired/fleet_file.ts";
import type { BoxPlan, Step } from "../../../program/desired/plan_fleet.ts";
import { ExitStatus } from "../../../program/exit.ts";
import { isEnded, type Response } from "../../../protocol.ts";
import { type Outcome, outcomesStatus, printOutcomes } from "../../asking/outcomes.ts";
import { examples, type Program, YES } from "../../base_command.ts";
import { countText } from "../../output/counts.ts";
import type { Pulled } from "../../pulls/follow.ts";
import { MAX_WAIT } from "../../pulls/max_wait.ts";
import { type AskedPull, pullAll, type StartChoices, startPull } from "../../pulls/start.ts";
import { connected, type Run, type Session } from "../../session.ts";
import { FILE_EXAMPLE } from "./plan.ts";
import { type FleetPlan, fetchText, printPlan, readFleetFile, readPlan } from "./shown_plan.ts";

interface ApplyChoices extends StartChoices {
  readonly yes?: boolean | undefined;
}

/** @param run without a connection: the file is read first */
export function addApplyVerb(program: Program, run: Run): void {
  program
    .command("apply")
    .summary("Pull, update and delete models until the fleet has what a file names.")
    .description(
      "Pull, update and delete models until the fleet has what a file names. Shows the plan and asks first.\n" +
        "Deletes only with prune: true in the file, after the pulls, and not on a box where one of them failed.",
    )
    .argument("<file>", "YAML, such as the one below")
    .addOption(MAX_WAIT)
    .addOption(YES)
    .addHelpText("after", examples("apply fleet.yaml", "apply fleet.yaml --yes") + FILE_EXAMPLE)
    .action(
      async (file, choices) =>
        await run(async (session) => {
          const desired = readFleetFile(file);
          return await connected(async () => await applyFile(session, desired, choices))(session);
        }),
    );
}

async function applyFile(session: Session, desired: DesiredFleet, choices: ApplyChoices): Promise<number> {
  const { printer, io } = session;
  const plan = await readPlan(session, desired);
  if (!printer.json) printPlan(session, plan);
  if (plan.differences === 0) {
    if (!printer.json) printer.note("Nothing to do");
    return 0;
  }
  await confirm(session, plan, choices);
  const pulls = changes(plan, ["pull", "update"]).flatMap(({ agent, model }) => {
    const view = viewOf(plan.views, agent);
    return view === undefined ? [] : [{ agent, model, view }];
  });
  const start = async (pull: AskedPull): Promise<Pulled> => underWay(pull) ?? (await startPull(session, pull, choices));
  const { status, failed } = await pullAll(session, pulls, choices, start);
  const planned = changes(plan, ["delete"]).filter(({ agent }) => !failed.has(agent));
  if (planned.length === 0 || io.signal.aborted) return status;
  const deletion = await removeSurplus(session, desired, planned);
  return status === 0 ? deletion : status;
}

/** A pull that the box does already is followed: a command for it could come after its end, and start another one. */
function underWay({ model, view }: AskedPull): Pulled | null {
  const job = view.state?.jobs.find((each) => each.id !== null && !isEnded(each) && sameModel(each.model, model));
  return job === undefined ? null : { job };
}

function changes({ boxes }: Pick<FleetPlan, "boxes">, actions: readonly Step["action"][]) {
  const chosen = ({ steps }: BoxPlan): readonly Step[] => steps.filter(({ action }) => actions.includes(action));
  return boxes.flatMap((box) => chosen(box).map((step) => ({ ...step, agent: box.agent })));
}

function viewOf(views: readonly AgentView[], agent: string): AgentView | undefined {
  return views.find((view) => view.agent === agent);
}

/** As before other changes: a script, and anyone with --yes, is not asked. */
async function confirm({ printer, io }: Session, plan: FleetPlan, { yes = false }: ApplyChoices): Promise<void> {
  if (yes || printer.json || io.ask === undefined) return;
  const count = (action: Step["action"]): number => changes(plan, [action]).length;
  const parts = (["pull", "update", "delete"] as const).flatMap((action) =>
    count(action) === 0 ? [] : [`${action} ${count(action)}`],
  );
  const boxes = new Set(changes(plan, ["pull", "update", "delete"]).map(({ agent }) => agent)).size;
  const where = `on ${countText(boxes, "box", "boxes")}`;
  const text = [`${parts.join(", ")} ${where}`, fetchText(plan.boxes)].filter((part) => part !== "").join(", ");
  const answer = await io.ask(`${text.charAt(0).toUpperCase()}${text.slice(1)}? [y/N] `);
  if (answer !== null && /^y(?:es)?$/i.test(answer.trim())) return;
  printer.note("Nothing was changed");
  throw new ExitStatus(ERROR_CODES.cancelled.exit);
}

type Deletion = Outcome<Response> & { readonly model: string };

/** The pulls took time: only what is still surplus is deleted. */
async function removeSurplus(
  session: Session,
  desired: DesiredFleet,
  planned: readonly { readonly agent: string; readonly model: string }[],
): Promise<number> {
  const { courier, printer, io } = session;
  const now = changes(await readPlan(session, desired), ["delete"]);
  const still = planned.filter(({ agent, model }) => now.some((step) => step.agent === agent && step.model === model));
  const deletions = await Promise.all(
    still.map(async ({ agent, model }): Promise<Deletion> => {
      try {
        return { agent, model, answer: await courier.deleteModel(agent, model, { signal: io.signal }) };
      } catch (error) {
        return { agent, model, error: asCourierError(error) };
      }
    }),
  );
  if (printer.json) printer.document(deletedDocument(deletions));
  else if (deletions.length > 0) {
    const shown = deletions.map(({ model, answer, ...rest }) => ({ ...rest, ...(answer && { answer: model }) }));
    printOutcomes(session, shown, "RESULT", (model) => `deleted ${model}`, "deletions");
  }
  return outcomesStatus(deletions, io.signal);
}
