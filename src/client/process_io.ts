// gpuctl's surroundings when it is a process: its streams, its signals, real transports. Imports clock, log, open.ts.
import { systemClock } from "../clock.ts";
import { systemCode } from "../errors.ts";
import { silentLog } from "../log.ts";

import { openTransport } from "../transport/open.ts";
import type { ClientIo } from "./io.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const INTERRUPTED = 130;

/** Takes the process's signals over: the first asks the verb to end, the second ends the process. */
export function processIo(): ClientIo {
  const stop = new AbortController();
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(INTERRUPTED);
      stop.abort();
    });
  }
  // `gpuctl list | head -1`: nobody reads any more. Without a listener the error would be printed with its stack.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error) => {
      if (systemCode(error) === "EPIPE") stop.abort();
      else process.exit(74);
    });
  }
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    color: (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb",
    clock: systemClock,
    signal: stop.signal,
    open: async (address, watch) =>
      openTransport(address, {
        create: "never",
        watch,
        clock: systemClock,
        log: silentLog,
      }),
  };
}

/** Ends the process once all that was printed is out; pending system calls on a hung share do not hold it. */
export async function exitWhenPrinted(status: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr])
    await new Promise<void>((resolve) => stream.write("", () => resolve()));
  process.exit(status);
}
