// The signals that stop a program, each sent to a real process.
import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { StopOptions } from "#src/program/stop_signal.ts";

const MODULE = join(import.meta.dir, "../../src/program/stop_signal.ts");
const NAMES = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

type Child = Bun.Subprocess<"ignore", "pipe", "inherit">;
const children: Child[] = [];
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(children.splice(0).map(async (child) => await child.exited));
});

/** A process that prints `ready`, then `stopping` at its first signal. It ends by itself only when `ends` is true. */
async function start({ ends, nohup = false, ...options }: StopOptions & { ends: boolean; nohup?: boolean }) {
  const script = `
    import { stopSignal } from ${JSON.stringify(MODULE)};
    const signal = stopSignal(${JSON.stringify(options)});
    const alive = setInterval(() => {}, 1000);
    signal.addEventListener("abort", () => {
      console.log("stopping");
      if (${ends}) clearInterval(alive);
    });
    console.log("ready");`;
  const program = [process.execPath, "-e", script];
  const command = nohup ? ["nohup", ...program] : program;
  const child: Child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  children.push(child);
  const reader = child.stdout.getReader();
  let text = "";
  const printed = async (word: string): Promise<void> => {
    while (!text.includes(word)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`It ended without "${word}": ${text}`);
      text += new TextDecoder().decode(value);
    }
  };
  await printed("ready");
  return { child, printed };
}

describe("stopSignal()", () => {
  test.each(NAMES)("aborts at %s, and the program may end in its own time", async (name) => {
    const { child, printed } = await start({ ends: true });
    child.kill(name);
    await printed("stopping");
    expect(await child.exited).toBe(0);
  });

  test.each(NAMES)("ends the process with 130 at a second signal, here %s", async (name) => {
    const { child, printed } = await start({ ends: false });
    child.kill("SIGTERM");
    await printed("stopping");
    child.kill(name);
    expect(await child.exited).toBe(130);
  });

  test("ends a program that takes longer than withinMs with 69", async () => {
    const { child } = await start({ ends: false, withinMs: 50 });
    child.kill("SIGHUP");
    expect(await child.exited).toBe(69);
  });

  test("leaves SIGHUP ignored under nohup, and aborts at the others", async () => {
    const { child, printed } = await start({ ends: true, nohup: true });
    child.kill("SIGHUP");
    child.kill("SIGHUP");
    // Two would have ended it with 130.
    child.kill("SIGTERM");
    await printed("stopping");
    expect(await child.exited).toBe(0);
  });
});
