// Whether stderr is the systemd journal, and the prefix that gives a line its priority there (sd-daemon(3)).
import { fstatSync } from "node:fs";
import { visibleText } from "../base/format.ts";

const STDERR = 2;
const PRIORITIES = { error: 3, warn: 4, info: 6, debug: 7 };

/** Whether stderr is connected to the journal, which records the time and priority of each line itself. */
export function isStderrJournal(environment: NodeJS.ProcessEnv = process.env): boolean {
  const stream = environment["JOURNAL_STREAM"];
  if (!stream) return false;
  // A child process may inherit the variable but have a different stderr.
  const { dev, ino } = fstatSync(STDERR, { bigint: true });
  return stream === `${dev}:${ino}`;
}

/** Writes an error that is not part of the log to stderr; nothing in it moves the cursor. */
export function writeError(text: string): void {
  const visible = visibleText(text);
  process.stderr.write(isStderrJournal() ? withPriority("error", visible) : visible);
}

/** The text with the priority of a level in front of each line, as the journal expects it. */
export function withPriority(level: keyof typeof PRIORITIES, text: string): string {
  return text.replaceAll(/^(?=.)/gm, `<${PRIORITIES[level]}>`);
}
