// Before a change: --dry-run ends here, and a change of several boxes waits for the person at the terminal.
import { ERROR_CODES } from "../../base/errors.ts";
import { visibleText } from "../../base/format.ts";
import { type PlannedChange, plannedDocument } from "../../documents/planned.ts";
import { ExitStatus } from "../../program/exit.ts";
import { noteUnavailable, withoutManyAway } from "../output/unavailable.ts";
import type { Session } from "../session.ts";
import { describeChange, describePlan, type Plan } from "./plan.ts";

/** The flags of a changing verb. */
export interface ChangeChoices {
  readonly yes?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

/**
 * Whether the verb goes on.
 * @param plan is made only when it is shown
 * @returns false after --dry-run, which has printed the plan
 * @throws ExitStatus that of `cancelled` when the answer is not yes: nothing was changed, which is printed
 */
export async function mayChange(
  session: Session,
  plan: () => Promise<Plan>,
  { yes = false, dryRun = false }: ChangeChoices,
): Promise<boolean> {
  const { printer, io } = session;
  if (dryRun) {
    printPlan(session, await plan());
    return false;
  }
  if (yes || printer.json || io.ask === undefined) return true;
  const { sent } = await plan();
  if (!isLarge(sent)) return true;
  const answer = await io.ask(`${visibleText(describePlan(sent), " ")}? [y/N] `);
  if (answer !== null && /^y(?:es)?$/i.test(answer.trim())) return true;
  // No error: it is what the person wanted.
  printer.note("Nothing was changed");
  throw new ExitStatus(ERROR_CODES.cancelled.exit);
}

/** Several boxes, several models that are deleted, or a box that is forgotten. */
function isLarge(sent: readonly PlannedChange[]): boolean {
  const isSeveral = (names: readonly string[]): boolean => new Set(names).size > 1;
  if (isSeveral(sent.map(({ agent }) => agent))) return true;
  return sent[0]?.verb === "forget" || (sent[0]?.verb === "delete" && isSeveral(sent.map(({ model }) => model ?? "")));
}

function printPlan({ printer }: Session, { changes, away }: Plan): void {
  if (printer.json) {
    printer.document(plannedDocument(changes));
    return;
  }
  const planned = changes.map((change) => ({ change, away: away.find(({ agent }) => agent === change.agent) }));
  const { shown, away: left } = withoutManyAway(planned);
  const rows = shown.map(({ change }) => [change.agent, describeChange(change)]);
  if (rows.length > 0) printer.table([{ title: "AGENT" }, { title: "DRY RUN", flexible: true }], rows);
  noteUnavailable(printer, left, "asked");
  printer.note("Nothing was changed");
}
