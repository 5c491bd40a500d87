// Parts of gpuctl's help texts: where the options of all verbs are, and lists of terms.
import type { Program } from "../base_command.ts";

/** Each verb's help ends with where the options of all verbs are. */
export function pointToOptions(program: Program): void {
  for (const verb of program.commands)
    for (const each of [verb, ...verb.commands]) each.addHelpText("after", "\nMore options: gpuctl help options");
}

/** The rows as a list of terms and descriptions. @param width of the screen */
export function formatItems(program: Program, width: number, rows: readonly (readonly [string, string])[]): string {
  const helper = program.createHelp();
  helper.helpWidth = width;
  const termWidth = Math.max(...rows.map(([term]) => term.length));
  return rows.map(([term, description]) => `${helper.formatItem(term, termWidth, description, helper)}\n`).join("");
}
