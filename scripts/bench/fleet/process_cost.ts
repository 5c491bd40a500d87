// What a process costs over a time: its share of a core and its memory. Reads /proc: Linux only.
import { readFileSync } from "node:fs";
import { residentMb } from "../../soak/memory.ts";

export interface ProcessCost {
  readonly cpuPercent: number;
  /** The most that was seen. */
  readonly residentMb: number;
}

const EVERY_MS = 500;
/** The kernel counts in hundredths of a second for programs, whatever its own tick is. */
const TICK_MS = 10;

/** @param meanwhile runs to its end */
export async function measureProcess(pid: number, meanwhile: () => Promise<void>): Promise<ProcessCost> {
  const begun = { cpuMs: cpuMs(pid), atMs: performance.now() };
  const residents: number[] = [residentMb(pid)];
  const sampling = setInterval(() => residents.push(residentMb(pid)), EVERY_MS);
  try {
    await meanwhile();
  } finally {
    clearInterval(sampling);
  }
  const spentMs = cpuMs(pid) - begun.cpuMs;
  return {
    cpuPercent: (100 * spentMs) / (performance.now() - begun.atMs),
    residentMb: Math.max(...residents, residentMb(pid)),
  };
}

/** Of all its threads, also those that ended. */
function cpuMs(pid: number): number {
  // The second field is the program's name, which may contain spaces.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
