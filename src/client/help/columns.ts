// The columns of gpuctl's help, on narrow terminals too. Commander's own leave unwrapped what does not fit.
import type { Help } from "@commander-js/extra-typings";

/** A description that has less room beside its term goes below it. */
const MIN_DESCRIPTION_CHARS = 36;
const INDENT = 2;
const GAP = 2;
const BELOW_INDENT = 4;
const FULL_WIDTH = 80;

export const HELP_LAYOUT: Partial<Help> = {
  showGlobalOptions: false,
  minWidthToWrap: 1,
  subcommandTerm: (verb) => {
    const [alias] = verb.aliases();
    const operands = verb.registeredArguments.map((argument) => {
      const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
      return argument.required ? `<${name}>` : `[${name}]`;
    });
    return [alias === undefined ? verb.name() : `${verb.name()}|${alias}`, ...operands].join(" ");
  },
  formatItem: (term, termWidth, description, helper) => {
    const width = helper.helpWidth ?? FULL_WIDTH;
    const beside = width - INDENT - termWidth - GAP;
    const isBelow = beside < MIN_DESCRIPTION_CHARS;
    const [room, indent] = isBelow ? [width - BELOW_INDENT, BELOW_INDENT] : [beside, width - beside];
    const lines = helper.boxWrap(description, Math.max(1, room)).replaceAll("\n", `\n${" ".repeat(indent)}`);
    const head = `${" ".repeat(INDENT)}${term}`;
    if (description === "") return head;
    return isBelow ? `${head}\n${" ".repeat(indent)}${lines}` : `${head.padEnd(indent)}${lines}`;
  },
};
