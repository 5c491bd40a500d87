// The verb help: the help of a verb, or a topic.
import { CourierError } from "../../base/errors.ts";
import type { Program } from "../base_command.ts";
import type { ClientIo } from "../io.ts";
import { formatItems } from "./layout.ts";
import { TOPICS } from "./topics.ts";

const DEFAULT_WIDTH = 80;

export function addHelpVerb(program: Program, io: ClientIo): void {
  const topics = Object.keys(TOPICS);
  program
    .command("help")
    .description(`Print the help of a verb, or about: ${topics.join(", ")}.`)
    .argument("[topic...]", "a verb, or a topic")
    .action((words) => {
      const [word] = words;
      if (word === undefined) return program.outputHelp();
      const topic = TOPICS[word];
      if (topic === undefined || words.length > 1) return findVerb(program, words).outputHelp();
      const { about, rows, end } = topic;
      const width = io.stdout.columns || DEFAULT_WIDTH;
      const wrapped = (text: string): string => `${program.createHelp().boxWrap(text, width)}\n`;
      const list = formatItems(program, width, rows(program));
      io.stdout.write(`${wrapped(about)}${list}${end === undefined ? "" : `\n${wrapped(end)}`}`);
    });
}

type Verb = Program["commands"][number];

/** @throws CourierError `invalid` when there is no such verb */
function findVerb(program: Program, words: readonly string[]): Verb {
  let [found, commands]: [Verb | undefined, readonly Verb[]] = [undefined, program.commands];
  for (const word of words) {
    found = commands.find((verb) => verb.name() === word || verb.aliases().includes(word));
    if (found === undefined) break;
    commands = found.commands;
  }
  if (found !== undefined) return found;
  throw new CourierError("invalid", `No verb or topic is called ${JSON.stringify(words.join(" "))}`, {
    hint: `gpuctl help lists the verbs; topics are ${Object.keys(TOPICS).join(", ")}`,
  });
}
