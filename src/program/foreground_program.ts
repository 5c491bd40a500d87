// A program that runs in place of this one: with its streams, its terminal and its signals.
import { readFileSync } from "node:fs";
import { constants } from "node:os";

/** A terminal sends these to every process in its foreground, so the other program has them already. */
const OF_THE_KEYBOARD = ["SIGINT", "SIGQUIT"] as const;
const FOR_ONE_PROCESS = ["SIGTERM", "SIGHUP"] as const;

export class ForegroundProgram {
  #running = 0;

  /** Meanwhile this process must not end. */
  get isRunning(): boolean {
    return this.#running > 0;
  }

  /**
   * Runs the program to its end, and passes on the signals that only this process gets.
   * @param environment all of it
   * @returns its exit status, or 128 and the number of the signal that ended it, as a shell has it
   * @throws Error when it cannot be started
   */
  async run(command: readonly string[], environment: Readonly<Record<string, string | undefined>>): Promise<number> {
    const child = Bun.spawn([...command], { env: { ...environment }, stdio: ["inherit", "inherit", "inherit"] });
    this.#running += 1;
    const pass = (name: NodeJS.Signals): void => child.kill(name);
    const passUnlessTyped = (name: NodeJS.Signals): void => {
      if (!isInForeground()) pass(name);
    };
    for (const name of FOR_ONE_PROCESS) process.on(name, pass);
    for (const name of OF_THE_KEYBOARD) process.on(name, passUnlessTyped);
    try {
      await child.exited;
    } finally {
      for (const name of FOR_ONE_PROCESS) process.off(name, pass);
      for (const name of OF_THE_KEYBOARD) process.off(name, passUnlessTyped);
      this.#running -= 1;
    }
    const { signalCode, exitCode } = child;
    return typeof signalCode === "string" ? 128 + constants.signals[signalCode] : (exitCode ?? 1);
  }
}

/** Whether this process is in the foreground of a terminal. Where there is no /proc, a terminal at its input counts. */
function isInForeground(): boolean {
  let status: string;
  try {
    status = readFileSync("/proc/self/stat", "utf8");
  } catch {
    return process.stdin.isTTY;
  }
  // proc_pid_stat(5): the name of the program may hold spaces and parentheses.
  const [, , group, , , foreground] = status.slice(status.lastIndexOf(")") + 2).split(" ");
  return group !== undefined && group === foreground;
}
