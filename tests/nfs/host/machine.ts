// Runs the virtual machine to its end and passes on what it prints.
import { join } from "node:path";
import { searchPath } from "#tests/support/debian.ts";
import type { Boot } from "./image.ts";

export interface MachineOptions {
  readonly boot: Boot;
  /** The machine writes to it. */
  readonly disk: string;
  /** For the console of the kernel; its owner removes it. */
  readonly dir: string;
  /** Words for the kernel's command line, which the first process reads. */
  readonly settings: Readonly<Record<string, string>>;
  readonly limitS: number;
  /** Receives whole lines. */
  readonly write: (line: string) => void;
}

/** The last line that the machine prints, and nothing else prints. */
const END = /^EXIT (\d+)\r?$/;

/**
 * Emulation, never KVM: the same everywhere, and many machines that build have no KVM. Its clock counts instructions, 1 ns
 * each, and skips what is slept: so times do not depend on this machine, nor on what else it does. QEMU 7.2 does not start
 * a second processor so.
 * @returns the exit status of what ran in it; 1, with the end of the kernel's console, when it never got there
 */
export async function runMachine({ boot, disk, dir, settings, limitS, write }: MachineOptions): Promise<number> {
  const console = join(dir, "console");
  const words = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const append = `console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on ${words.join(" ")}`;
  const command = [
    "qemu-system-x86_64 -accel tcg,thread=single -cpu max -smp 1 -m 3072".split(" "),
    "-icount shift=0,sleep=off -rtc clock=vm".split(" "),
    "-nodefaults -no-user-config -display none -no-reboot".split(" "),
    ["-kernel", boot.kernel, "-initrd", boot.root, "-append", append],
    ["-drive", `file=${disk},if=virtio,format=raw,cache=unsafe`, "-device", "virtio-rng-pci"],
    ["-serial", `file:${console}`, "-serial", "stdio"],
  ];
  const child = Bun.spawn(command.flat(), {
    env: { ...process.env, PATH: searchPath() },
    stdio: ["ignore", "pipe", "inherit"],
    timeout: limitS * 1000,
    killSignal: "SIGKILL",
  });
  const stop = (): void => child.kill("SIGKILL");
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  const status = await relay(child.stdout, write);
  await child.exited;
  if (status !== null) return status;
  const kernel = Bun.file(console);
  const last = (await kernel.exists()) ? (await kernel.text()).split("\n").slice(-30).join("\n") : "";
  process.stderr.write(`The virtual machine did not get to its end within ${limitS} s. Its console:\n${last}\n`);
  return 1;
}

async function relay(output: ReadableStream<Uint8Array>, write: MachineOptions["write"]): Promise<number | null> {
  const decoder = new TextDecoder();
  let [status, rest]: [number | null, string] = [null, ""];
  for await (const chunk of output) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const end = END.exec(line);
      if (end === null) write(`${line.replace(/\r$/, "")}\n`);
      else status = Number(end[1]);
    }
  }
  if (rest !== "") write(`${rest}\n`);
  return status;
}
