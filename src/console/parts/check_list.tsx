// What doctor found, in words: a check in each line, with what to do about it.
import type { JSX } from "preact";
import type { DoctorDocument } from "../../documents/doctor.ts";
import { Status } from "./status.tsx";
import { Foreign } from "./text.tsx";

const TONES = { ok: "good", warning: "warn", failed: "bad" } as const;
const WORDS = { ok: "OK", warning: "Warning", failed: "Failed" } as const;

interface CheckListProps {
  readonly checks: DoctorDocument["checks"];
  /** Whether each names what it is about. */
  readonly hasSubject: boolean;
}

export function CheckList({ checks, hasSubject }: CheckListProps): JSX.Element {
  return (
    <ul class="checks">
      {checks.map(({ check, subject, result, message, hint }) => (
        <li key={`${check} ${subject} ${message}`}>
          <Status tone={TONES[result]}>
            <span class="only-read">{WORDS[result]}: </span>
            {hasSubject && <Foreign class="strong subject" text={subject ?? check} />}
            <Foreign class="wrapped" text={message} />
          </Status>
          {hint !== null && <span class="hint">{hint}</span>}
        </li>
      ))}
    </ul>
  );
}
