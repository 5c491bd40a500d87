// Before a change: --dry-run ends here, and a change of several boxes waits for the person at the terminal.
import { CourierError } from "../../base/errors.ts";
import { visibleText } from "../../base/format.ts";
import { type PlannedChange, plannedDocument } from "../../documents/planned.ts";
import type { Session } from "../session.ts";
import { describeChange, describePlan } from "./plan.ts";

/** The flags of a changing verb. */
export interface ChangeChoices {
  readonly yes?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

/**
 * Whether the verb goes on.
 * @returns false after --dry-run, which has printed the plan
 * @throws CourierError `cancelled` when the answer is not yes: nothing was changed
 */
export async function mayChange(
  session: Session,
  changes: readonly PlannedChange[],
  { yes = false, dryRun = false }: ChangeChoices,
): Promise<boolean> {
  const { printer, io } = session;
  if (dryRun) {
    printPlan(session, changes);
    return false;
  }
  if (yes || printer.json || io.ask === undefined || !isLarge(changes)) return true;
  const answer = await io.ask(`${visibleText(describePlan(changes), " ")}? [y/N] `);
  if (answer !== null && /^y(?:es)?$/i.test(answer.trim())) return true;
  throw new CourierError("cancelled", "Nothing was changed");
}

/** Several boxes, several models that are deleted, or a box that is forgotten. */
function isLarge(changes: readonly PlannedChange[]): boolean {
  const meant = changes.filter(({ skipped }) => skipped === null);
  const isSeveral = (names: readonly string[]): boolean => new Set(names).size > 1;
  if (isSeveral(meant.map(({ agent }) => agent))) return true;
  return (
    meant[0]?.verb === "forget" || (meant[0]?.verb === "delete" && isSeveral(meant.map(({ model }) => model ?? "")))
  );
}

function printPlan({ printer }: Session, changes: readonly PlannedChange[]): void {
  if (printer.json) {
    printer.document(plannedDocument(changes));
    return;
  }
  const rows = changes.map((change) => [change.agent, describeChange(change)]);
  if (rows.length > 0) printer.table([{ title: "AGENT" }, { title: "DRY RUN", flexible: true }], rows);
  printer.note("Nothing was changed");
}
