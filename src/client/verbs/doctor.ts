// The verb doctor.
import { printChecks, type Report } from "../../doctor/report.ts";
import { examples, type Program } from "../base_command.ts";
import { parseAgents } from "../output/agent_names.ts";
import type { Run, Session } from "../session.ts";

/** @param run without a connection: the share may be the problem */
export function addDoctorVerb(program: Program, run: Run): void {
  program
    .command("doctor")
    .summary("Check the share and the agents, and suggest fixes.")
    .description("Check the share and the agents, and suggest fixes. Exits with 1 if a check failed.")
    .argument("[agent...]", "as for --agent: a name, pattern or range; default: all", parseAgents)
    .addHelpText(
      "after",
      examples("doctor", "doctor gpu-1", "doctor --json | jq '.checks[] | select(.result == \"failed\")'"),
    )
    .action(async (named) => await run(runDoctor, named));
}

async function runDoctor({ courier, agents, printer, io }: Session): Promise<number> {
  const { json, width, paint } = printer;
  const report: Report = {
    json,
    width,
    paint,
    text: (text) => printer.painted(text),
    document: (document) => printer.document(document),
  };
  return await printChecks(courier.doctor(agents, io.signal), report, io.signal);
}
