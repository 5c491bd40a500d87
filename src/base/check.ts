// One check of the doctor: its subject, its result and advice.
import { asCourierError } from "./errors.ts";

export interface Check {
  /** The kind of check, for programs: it never changes. */
  readonly check: string;
  /** An agent, a folder or an option; null where the kind has only one subject. */
  readonly subject: string | null;
  readonly result: "ok" | "warning" | "failed";
  /** The finding, for people. */
  readonly message: string;
  /** How to fix it. */
  readonly hint: string | null;
}

/** Makes checks of one kind: `about("ping", "gpu-1").ok("answered in 3 ms")`. */
export function about(check: string, subject: string | null = null) {
  const outcome =
    (result: Check["result"]) =>
    (message: string, hint: string | null = null): Check => ({ check, subject, result, message, hint });
  return {
    ok: outcome("ok"),
    warning: outcome("warning"),
    failed: outcome("failed"),
    failedBy: (error: unknown): Check => {
      const { message, hint } = asCourierError(error).spoken;
      return outcome("failed")(message, hint ?? null);
    },
  };
}
