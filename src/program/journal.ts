// The journal of systemd behind stderr, and how a line tells it its priority (sd-daemon(3)). Imports node:fs.
import { fstatSync } from "node:fs";

const STDERR = 2;
const PRIORITIES = { error: 3, warn: 4, info: 6, debug: 7 };

/** Whether what goes to stderr goes to the journal, which notes time and priority itself. */
export function isStderrJournal(environment: NodeJS.ProcessEnv = process.env): boolean {
  const stream = environment["JOURNAL_STREAM"];
  if (!stream) return false;
  // A child may inherit the variable and have another stderr.
  const { dev, ino } = fstatSync(STDERR, { bigint: true });
  return stream === `${dev}:${ino}`;
}

/** Writes an error that is not logged but told, to anyone who reads stderr. */
export function writeError(text: string): void {
  process.stderr.write(isStderrJournal() ? withPriority("error", text) : text);
}

/** Text as the journal takes it: each of its lines with the priority of a level. */
export function withPriority(level: keyof typeof PRIORITIES, text: string): string {
  return text.replaceAll(/^(?=.)/gm, `<${PRIORITIES[level]}>`);
}
