// The verb doctor.
import { examine, printChecks } from "../../doctor/report.ts";
import type { Session } from "../session.ts";

/** `gpuctl doctor`; its session need not be connected */
export async function runDoctor({ transport, courier, agents, printer, io }: Session): Promise<number> {
  return await printChecks(examine({ transport, courier, agents, signal: io.signal }), printer, io.signal);
}
