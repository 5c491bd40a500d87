// The commands that agents refused, which no job of theirs shows.
import { formatAgo } from "../../base/format.ts";
import type { Refused } from "../../documents/contact.ts";
import type { Job } from "../../protocol.ts";
import type { Printer } from "./printer.ts";

/** More are left to `--json`. */
const NOTED = 5;
const RECENT_MS = 86_400_000;

/**
 * Prints the last ones of the last day on stderr.
 * @param nowMs the time by the clock of an agent's box
 * @param listed the jobs that are printed: gpu-server has one for each pull that was refused through it
 */
export function noteRefused(
  printer: Printer,
  refused: readonly Refused[],
  nowMs: (agent: string) => number,
  listed: readonly Job[],
): void {
  const age = ({ agent, at }: Refused): number => nowMs(agent) - Date.parse(at);
  const isListed = ({ agent, model, code }: Refused): boolean =>
    listed.some((job) => job.agent === agent && job.model === model && job.code === code && job.started_at === null);
  const recent = refused
    .filter((command) => age(command) < RECENT_MS && !isListed(command))
    .toSorted((a, b) => age(a) - age(b));
  for (const command of recent.slice(0, NOTED)) printer.note(describe(command, nowMs(command.agent)));
  const more = recent.length - NOTED;
  if (more > 0)
    printer.note(`${more} more ${more === 1 ? "command was" : "commands were"} refused`, "See all: gpuctl jobs --json");
}

function describe({ agent, at, command, model, error }: Refused, nowMs: number): string {
  const what = [command ?? "a command", model].filter((word) => word !== null).join(" ");
  return `${agent} refused ${what} ${formatAgo(at, nowMs)}: ${error}`;
}
