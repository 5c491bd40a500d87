// The document that `doctor --json` prints, as a schema. Imports zod.
import { z } from "zod";

const CheckResult = z.enum(["ok", "warning", "failed"]);

/** `result` is the worst of all checks. */
export const DoctorDocument = z.object({
  result: CheckResult,
  checks: z.array(
    z.object({
      /** What was looked at. */
      check: z.string(),
      /** Which of several: an agent, a folder, an option. */
      subject: z.string().nullable(),
      result: CheckResult,
      message: z.string(),
      hint: z.string().nullable(),
    }),
  ),
});
export type DoctorDocument = z.infer<typeof DoctorDocument>;
