// The verbs under roster: who is who on a share, signed by an operator.
import { InvalidArgumentError } from "@commander-js/extra-typings";
import { parse } from "../../program/flags.ts";
import { examples, type Program } from "../base_command.ts";
import type { ClientIo } from "../io.ts";
import type { Printer } from "../output/printer.ts";
import type { Run } from "../session.ts";
import { MAX_DAYS, operatorKeyFile, printOperatorKey, signDraft } from "./making.ts";
import { draftRoster, publishRoster, showRoster } from "./published.ts";

const ABOUT =
  "Sign, publish and show who is who on a share, for all boxes and readers at once.\n\n" +
  "A roster lists the keys of agents, the keys that may sign commands, and revoked keys. An operator signs it. Programs with " +
  "--operator-keys believe it and keep the newest: if somebody puts an older one on the share, it is refused.";

const STEPS = `
Once:
  gpuctl roster key                  on the operator's machine. Put its line into a file of each box and reader,
                                     and start them with --operator-keys FILE
Each time, and before the roster ends:
  gpuctl roster draft > roster.txt   where the share is; then edit it
  gpuctl roster sign roster.txt > roster.json
                                     where the operator's key is: needs no share
  gpuctl roster publish roster.json  where the share is

Lines of a draft:
  agent gpu-1 ed25519 KEY            the output of \`gpu-agent key\` on the box
  sender ed25519 KEY alice@laptop    the output of \`gpuctl key\` or \`gpu-server key\`; may be limited as in the
                                     trusted keys: verbs=pull_model,cancel_job not-after=2027-06-01
  revoked fd110d301d2f077d           the id of a key that nobody trusts any more, whatever else lists it`;

const KEY = "--key <file>";
const KEY_TEXT = "the operator's private key";

interface RosterVerbs {
  /** Without a connection: some verbs need no share. */
  readonly run: Run;
  readonly openPrinter: () => Printer;
}

export function addRosterVerbs(program: Program, io: ClientIo, { run, openPrinter }: RosterVerbs): void {
  const roster = addRoster(program);
  roster
    .command("key")
    .description("Print the operator's public key, and create the key first if it is missing. Needs no share.")
    .option(KEY, KEY_TEXT, parse.text, operatorKeyFile(io))
    .action(({ key }) => printOperatorKey(key, io, openPrinter()));
  roster
    .command("draft")
    .description("Print the lines of the published roster, and of agents that it does not name, to edit and sign.")
    .addHelpText("after", examples("roster draft > roster.txt"))
    .action(async () => await run(draftRoster));
  addSign(roster, io, openPrinter);
  roster
    .command("publish")
    .description("Put a signed roster on the share.")
    .argument("<file>", "the signed roster")
    .addHelpText("after", examples("roster publish roster.json"))
    .action(async (file) => await run(publishRoster(file)));
  roster
    .command("show")
    .description("Show the published roster, or that in a file: who signed it, its serial, its lines and its end.")
    .argument("[file]", "a signed roster (default: the one on the share)")
    .addHelpText("after", examples("roster show", "roster show roster.json --operator-keys operator_keys"))
    .action(async (file) => await run(showRoster(file)));
}

function addRoster(program: Program) {
  return program
    .command("roster")
    .summary("Sign, publish and show who is who on the share.")
    .description(ABOUT)
    .addHelpText("after", STEPS);
}

function addSign(roster: ReturnType<typeof addRoster>, io: ClientIo, openPrinter: () => Printer): void {
  const onStick = "roster sign roster.txt --key /media/stick/operator.key --days 30 > roster.json";
  roster
    .command("sign")
    .description("Print the signed roster of a draft. Needs no share.")
    .argument("<draft>", "the file with its lines")
    .option(KEY, KEY_TEXT, parse.text, operatorKeyFile(io))
    .option("--days <count>", `how long it is valid, at most ${MAX_DAYS}`, parseDays, MAX_DAYS)
    .option("--serial <number>", "higher than that of the last one (default: the time in seconds)", parse.count)
    .addHelpText("after", examples("roster sign roster.txt > roster.json", onStick))
    .action((draft, { key, days, serial }) => signDraft(draft, { key, days, serial }, io, openPrinter()));
}

function parseDays(text: string): number {
  const days = parse.count(text);
  if (days <= MAX_DAYS) return days;
  throw new InvalidArgumentError(`Give at most ${MAX_DAYS} days`);
}
