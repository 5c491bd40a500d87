// What a half-typed command line says already. Pure; imports commander's types through the program.
import type { Program } from "../base_command.ts";

type Verb = Program["commands"][number];
type Flag = Program["options"][number];

export interface HalfLine {
  /** The word that is being typed, perhaps empty. */
  readonly current: string;
  readonly verb: Verb | undefined;
  /** The flag whose value the current word is. */
  readonly flag: Flag | undefined;
  /** The number of words before the current one that are not flags, including the verb. */
  readonly operands: number;
  /** Flags that need no more, by their long names, with their values; empty without one. The last one counts. */
  readonly values: ReadonlyMap<string, string>;
}

/** @param line up to the cursor, gpuctl included; quotes mean nothing, since no name needs any */
export function readLine(program: Program, line: string): HalfLine {
  const words = line.trimStart().split(/\s+/).slice(1);
  const current = words.pop() ?? "";
  const values = new Map<string, string>();
  let verb: Verb | undefined;
  let flag: Flag | undefined;
  // One that may do without a value: the next word is it when it can be.
  let optional: Flag | undefined;
  let operands = 0;
  for (const word of words) {
    if (flag !== undefined) {
      values.set(flag.long ?? "", word);
      flag = undefined;
    } else if (word.startsWith("-")) {
      const [name = "", value] = word.split("=", 2);
      const found = allFlags(program, verb).find(({ long, short }) => long === name || short === name);
      if (value !== undefined) values.set(name, value);
      else if (found?.required === true) flag = found;
      else values.set(found?.long ?? name, "");
      optional = value === undefined && found?.optional === true ? found : undefined;
    } else if (optional?.argChoices?.includes(word) === true) {
      values.set(optional.long ?? "", word);
      optional = undefined;
    } else {
      verb ??= verbsOf(program).find((command) => command.name() === word || command.aliases().includes(word));
      operands += 1;
      optional = undefined;
    }
  }
  return { current, verb, flag, operands, values };
}

/** Also those that `--help` does not show. */
function allFlags(program: Program, verb: Verb | undefined): readonly Flag[] {
  return [...(verb?.options ?? []), ...program.options];
}

/** Those that may stand at this place. */
export function flagsOf(program: Program, verb: Verb | undefined): readonly Flag[] {
  const help = program.createHelp();
  return [...(verb === undefined ? [] : help.visibleOptions(verb)), ...help.visibleOptions(program)];
}

/** Those that `--help` shows. */
export function verbsOf(program: Program): readonly Verb[] {
  return program.createHelp().visibleCommands(program);
}
