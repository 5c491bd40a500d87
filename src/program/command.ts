// The command lines of the three programs: what all of them have.
import { Command } from "@commander-js/extra-typings";
import { flag, parse, VERSION } from "./flags.ts";
import { writeError } from "./journal.ts";
import { transportFlags } from "./transport_flags.ts";

const DEFAULT_SHARE = "/mnt/shared";

/** The command of a program, with the flags that all three have. */
export function programCommand(name: string, description: string) {
  return new Command(name)
    .description(description)
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .addOption(flag("--share <dir>", "path of the shared folder").argParser(parse.folder).default(DEFAULT_SHARE))
    .addOption(transportFlags.transport())
    .addOption(transportFlags.creds())
    .addOption(transportFlags.ca())
    .addOption(transportFlags.cert())
    .addOption(transportFlags.key())
    .addOption(transportFlags.prefix())
    .addOption(transportFlags.replicas())
    .configureOutput({ writeErr: writeError })
    .exitOverride()
    .showHelpAfterError(`Run '${name} --help' for usage.`);
}
