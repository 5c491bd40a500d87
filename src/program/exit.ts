// Ends a program: prints its failure and chooses the exit status.
import { CommanderError } from "@commander-js/extra-typings";
import { asCourierError, ERROR_CODES } from "../base/errors.ts";
import { visibleText } from "../base/format.ts";
import { jsonText } from "../base/invisible.ts";
import { writeError } from "./journal.ts";

export interface PrintOptions {
  /** Print an error as one JSON document. */
  readonly json?: boolean;
  readonly write?: (text: string) => void;
}

/**
 * Prints a failure to stderr, as text or JSON. Both may quote text from the share: message and hint take one line each, so
 * that no line is forged, and nothing in them moves the cursor.
 * @returns the exit status
 */
export function printError(error: unknown, { json = false, write = writeError }: PrintOptions = {}): number {
  const failure = asCourierError(error);
  const { code } = failure;
  const { message, hint } = json ? failure : failure.spoken;
  if (json) write(`${jsonText({ error: { code, message, hint: hint ?? null } })}\n`);
  else write(`error: ${visibleText(message, " ")}${hint === undefined ? "" : `\n  ${visibleText(hint, " ")}`}\n`);
  return ERROR_CODES[code].exit;
}

/**
 * Parses the command line and runs its action.
 * @returns the exit status: that of a thrown `ExitStatus` or `CourierError`, or 64 for an invalid command line
 */
export async function runCommandLine(
  program: { parseAsync(argv: string[], from: { from: "user" }): Promise<unknown> },
  argv: readonly string[],
  printing: PrintOptions = { json: argv.includes("--json") },
): Promise<number> {
  try {
    await program.parseAsync([...argv], { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof ExitStatus) return error.status;
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : ERROR_CODES.invalid.exit;
    return printError(error, printing);
  }
}

/** Thrown by an action that has printed everything itself, to end the process with a status. */
export class ExitStatus extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`exit status ${status}`);
    this.status = status;
  }
}
