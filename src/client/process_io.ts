// gpuctl's surroundings when it is a process: its streams, its signals, real transports.
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { systemClock } from "../base/clock.ts";
import { systemCode } from "../base/errors.ts";
import { silentLog } from "../base/log.ts";
import { ForegroundProgram } from "../program/foreground_program.ts";
import { watchReader } from "../program/reader_watch.ts";
import { stopSignal } from "../program/stop_signal.ts";
import { welcomesColor } from "../program/style.ts";
import { userName } from "../program/user_name.ts";
import { openTransport } from "../transport/open.ts";
import { keyPath } from "../trust/key_file.ts";
import type { ClientIo } from "./io.ts";

const INTERRUPTED = 130;
/** `EX_IOERR` of sysexits.h: what was printed is not all there. */
const OUTPUT_LOST = 74;
/** Nobody reads any more: `gpuctl list | head -1`, or a terminal that was closed. */
const NO_READER: ReadonlySet<string | undefined> = new Set(["EPIPE", "EIO"]);

/**
 * One of the process's two streams. Bun 1.4.5 reports only in a write's own callback that it is out: neither a later
 * write's callback nor `writableLength` knows of it, and `process.exit()` drops what a slow pipe has not taken.
 */
class ProcessScreen extends Writable {
  readonly #stream: NodeJS.WriteStream;
  #hasWritten = false;

  constructor(stream: NodeJS.WriteStream, failed: (code: string | undefined) => void) {
    super({ decodeStrings: false });
    this.#stream = stream;
    // Both emit an error, which without a listener would print its stack.
    stream.on("error", (error) => failed(systemCode(error)));
    this.on("error", (error) => failed(systemCode(error)));
    stream.on("resize", () => this.emit("resize"));
  }

  get isTTY(): boolean {
    return this.#stream.isTTY;
  }

  get columns(): number {
    return this.#stream.columns;
  }

  get rows(): number {
    return this.#stream.rows;
  }

  override _write(chunk: string, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#stream.write(chunk, encoding, done);
    if (!this.#hasWritten) this.emit("begun");
    this.#hasWritten = true;
  }
}

/**
 * `gpuctl jobs --follow | head -1` ends with `head`, not at the next change. Only once something was printed: a verb that prints
 * its result in the end does its work even if nobody waits for it.
 */
function endWithReader(stdout: ProcessScreen, failed: (code: string | undefined) => void): void {
  if (stdout.isTTY) return;
  stdout.once("begun", () => {
    try {
      watchReader(process.stdout.fd, () => failed("EPIPE"));
    } catch {
      // Without it, the next write notices.
    }
  });
}

/** Runs gpuctl as this process, whose signals and streams it takes over, and ends the process. */
export async function runProcess(main: (io: ClientIo) => Promise<number>): Promise<never> {
  const lost = new AbortController();
  let isOutputLost = false;
  const failed = (code: string | undefined): void => {
    isOutputLost ||= !NO_READER.has(code);
    lost.abort();
  };
  const folder = join(process.env["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "gpu-courier");
  const stdout = new ProcessScreen(process.stdout, failed);
  endWithReader(stdout, failed);
  const stderr = new ProcessScreen(process.stderr, failed);
  const foreground = new ForegroundProgram();
  const signal = AbortSignal.any([stopSignal({ mustStay: () => foreground.isRunning }), lost.signal]);
  const status = await main({
    stdout,
    stderr,
    ...(process.stdin.isTTY && stderr.isTTY ? { ask: asking(stderr, signal) } : {}),
    color: welcomesColor(),
    isDumb: process.env["TERM"] === "dumb",
    clock: systemClock,
    signal,
    requestedBy: `gpuctl:${userName()}@${hostname()}`,
    keyFile: keyPath(folder),
    knownAgentsFile: join(folder, "known_agents.json"),
    tokenFile: join(folder, "token"),
    runProgram: async (command, environment) => await foreground.run(command, environment),
    open: async (address, watch, nats) =>
      openTransport(address, { create: "never", watch, nats, clock: systemClock, log: silentLog }),
  });
  await written(stdout);
  await written(stderr);
  // System calls on a hung share may still be under way: they do not hold the process.
  // With nobody left to read the output, gpuctl interrupts itself.
  const hasNoOther = status === 0 || status === INTERRUPTED;
  process.exit(hasNoOther && isOutputLost ? OUTPUT_LOST : status);
}

/** Asks on stderr, and reads from stdin the line that the terminal has when Enter was pressed. */
function asking(stderr: Writable, signal: AbortSignal): (question: string) => Promise<string | null> {
  return async (question) => {
    stderr.write(question);
    const { promise, resolve } = Promise.withResolvers<string | null>();
    process.stdin.once("data", (line) => resolve(String(line).trim()));
    process.stdin.once("end", () => resolve(null));
    signal.addEventListener("abort", () => resolve(null));
    const answer = signal.aborted ? null : await promise;
    process.stdin.pause();
    if (answer === null) stderr.write("\n");
    return answer;
  };
}

/** Resolves when all is out, or lost. */
async function written(screen: Writable): Promise<void> {
  if (screen.closed) return;
  await new Promise<void>((resolve) => {
    screen.once("close", resolve);
    screen.end();
  });
}
