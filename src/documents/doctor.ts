// The document that `doctor --json` prints.
import { z } from "zod";
import type { Check } from "../base/check.ts";

const CheckResult = z.enum(["ok", "warning", "failed"]);
type CheckResult = z.infer<typeof CheckResult>;

export const DoctorDocument = z.object({
  /** The worst result of all checks. */
  result: CheckResult,
  checks: z.array(
    z.object({
      /** The kind of check. */
      check: z.string(),
      /** An agent, a folder or an option; null where the kind has no subject. */
      subject: z.string().nullable(),
      result: CheckResult,
      message: z.string(),
      hint: z.string().nullable(),
    }),
  ),
});
export type DoctorDocument = z.infer<typeof DoctorDocument>;

export function doctorDocument(checks: readonly Check[]): DoctorDocument {
  return { result: worstOf(checks), checks: [...checks] };
}

function worstOf(checks: readonly Check[]): CheckResult {
  const results = new Set(checks.map(({ result }) => result));
  return results.has("failed") ? "failed" : results.has("warning") ? "warning" : "ok";
}
