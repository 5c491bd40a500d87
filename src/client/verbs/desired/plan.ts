// The verb plan.
import { asCourierError, ERROR_CODES } from "../../../base/errors.ts";
import { examples, type Program } from "../../base_command.ts";
import { connected, type Run, type Session } from "../../session.ts";
import { isOld, printDrift, readDrift } from "./shown_drift.ts";
import { printPlan, readFleetFile, readPlan } from "./shown_plan.ts";

/** A script must be able to separate a difference from a failure. */
const DIFFERENT = 2;
const FAILED = 1;

/** The end of the help of plan and apply. */
export const FILE_EXAMPLE = `

A file:
  models:
    - name: phi4
      on: [gpu-1, "gpu-2*", "label:zone=a"]
    - name: gemma3:12b
      on: all
      digest: "f4031aab637d"   # optional
  prune: false                 # true: other models are deleted from these boxes`;

/** @param run without a connection: the file is read first, and each failure has the same status */
export function addPlanVerb(program: Program, run: Run): void {
  program
    .command("plan")
    .summary("Compare the fleet with a file that names its models.")
    .description(
      "Compare the fleet with a file that names its models, and show what gpuctl apply would change.\n" +
        "Without a file: show how the fleet differs from the one that gpu-server keeps it to (--desired).\n" +
        "Exits with 0 if there is nothing to do, with 2 if there is, and with 1 after a failure. A box that is away is unknown, and no difference.",
    )
    .argument("[file]", "YAML, such as the one below")
    .addHelpText(
      "after",
      examples(
        "plan fleet.yaml",
        "plan --server https://gpu.example.org",
        "plan fleet.yaml --json | jq '.boxes[] | select(.fits == false)'",
      ) + FILE_EXAMPLE,
    )
    .action(async (file) => await run(async (session) => await showPlan(session, file)));
}

async function showPlan(session: Session, file: string | undefined): Promise<number> {
  const { printer } = session;
  try {
    if (file === undefined) return await connected(showDrift)(session);
    const desired = readFleetFile(file);
    return await connected(async () => {
      const { boxes, differences } = await readPlan(session, desired);
      if (printer.json) printer.document({ boxes, differences });
      else printPlan(session, { boxes });
      if (!printer.json && differences === 0) printer.note("Nothing to do");
      return differences === 0 ? 0 : DIFFERENT;
    })(session);
  } catch (caught) {
    const error = asCourierError(caught);
    return printer.error(error) === ERROR_CODES.cancelled.exit ? ERROR_CODES.cancelled.exit : FAILED;
  }
}

/** A file with a mistake is a failure, although an earlier one is in force. */
async function showDrift(session: Session): Promise<number> {
  const document = await readDrift(session);
  if (session.printer.json) session.printer.document(document);
  else printDrift(session, document);
  const isKnown = document.status !== "waiting" && !isOld(document, session.courier.now());
  if (document.problem !== null || !isKnown) return FAILED;
  return document.drift.length === 0 ? 0 : DIFFERENT;
}
