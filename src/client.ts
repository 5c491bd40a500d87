// The entry point gpuctl: command line → session → verb → exit status.

import { gpuctlCommand } from "./client/command_line.ts";
import type { ClientIo } from "./client/io.ts";
import { runProcess } from "./client/process_io.ts";
import { runCommandLine } from "./program/exit.ts";

/**
 * Runs gpuctl.
 * @param argv what follows the program's name
 * @param io the surroundings; unless given this process's own: it is then ended instead of returning
 * @returns the exit status
 */
export async function main(argv: readonly string[], io?: ClientIo): Promise<number> {
  if (io === undefined) return await runProcess(async (own) => await main(argv, own));
  const { program, isJson } = gpuctlCommand(argv, io);
  return await runCommandLine(program, argv, {
    get json() {
      return isJson();
    },
    write: (text) => void io.stderr.write(text),
  });
}

if (import.meta.main) await main(process.argv.slice(2));
