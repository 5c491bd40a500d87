// The verb key.
import { ensureKey } from "../../../trust/key_file.ts";
import { publicLine } from "../../../trust/keys.ts";
import { examples, type Program } from "../../base_command.ts";
import type { ClientIo } from "../../io.ts";
import type { Printer } from "../../output/printer.ts";

/** Needs no share: the line goes to the boxes by another way. */
export function addKeyVerb(program: Program, io: ClientIo, openPrinter: () => Printer): void {
  program
    .command("key")
    .summary("Print the public key that signs your commands, and create it first if it is missing.")
    .description(
      "Print the public key that signs your commands, and create it first if it is missing.\n" +
        "Boxes that have this line in their trusted keys run the commands.",
    )
    .addHelpText("after", examples("key", "key --json"))
    .action(() => {
      const printer = openPrinter();
      const key = ensureKey(io.keyFile);
      const line = publicLine(key, io.requestedBy.replace("gpuctl:", ""));
      if (printer.json) printer.document({ id: key.id, line });
      else printer.text(`${line}\n`);
    });
}
