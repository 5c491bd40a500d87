// The face gpuctl: command line → session → verb → exit status. Imports config and client/.
import { gpuctlCommand } from "./client/command_line.ts";
import { visibleText } from "./client/format.ts";
import type { ClientIo } from "./client/io.ts";
import { exitWhenPrinted, processIo } from "./client/process_io.ts";
import { runCommandLine } from "./exit.ts";

/**
 * Runs gpuctl.
 * @param argv what follows the program's name
 * @param io the surroundings; unless given this process's own, whose signals are then taken over
 * @returns the exit status
 */
export async function main(argv: readonly string[], io: ClientIo = processIo()): Promise<number> {
  const { program, isJson } = gpuctlCommand(argv, io);
  return await runCommandLine(program, argv, {
    get json() {
      return isJson();
    },
    write: (text) => void io.stderr.write(visibleText(text)),
  });
}

if (import.meta.main) await exitWhenPrinted(await main(process.argv.slice(2)));
