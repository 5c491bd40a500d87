// The verb version.
import { VERSION } from "../../program/flags.ts";
import { examples, type Program } from "../base_command.ts";
import type { Printer } from "../output/printer.ts";

/** `--version` as a verb, as other command lines have it. It needs no share. */
export function addVersionVerb(program: Program, openPrinter: () => Printer): void {
  program
    .command("version")
    .description("Print the version.")
    .addHelpText("after", examples("version", "version --json"))
    .action(() => {
      const printer = openPrinter();
      if (printer.json) printer.document({ version: VERSION });
      else printer.text(`${VERSION}\n`);
    });
}
