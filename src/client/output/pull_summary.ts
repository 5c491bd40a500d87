// Many pulls in one line: `9 of 15 done, 1 failed, 4 at 40 to 60 %, 1 queued`.
import type { Paint, Tone } from "../../program/style.ts";

interface Seen {
  /** The state in a word. */
  readonly word: string;
  readonly percent: number | null;
}

/** In this order: what needs attention must not be cut off. */
export const TROUBLES: readonly (readonly [word: string, tone: Tone])[] = [
  ["failed", "bad"],
  ["cancelled", "caution"],
  ["retrying", "caution"],
  ["not reporting", "caution"],
];

/** Of a pull whose agent has not answered yet; one that waits for its turn is queued. */
export const UNANSWERED = "waiting for an answer";

export function summarize(pulls: readonly Seen[], paint: Paint): string {
  const count = (word: string): number => pulls.filter((pull) => pull.word === word).length;
  const done = count("succeeded");
  const parts = [paint(`${done} of ${pulls.length} done`, done > 0 ? "good" : null)];
  for (const [word, tone] of TROUBLES) if (count(word) > 0) parts.push(paint(`${count(word)} ${word}`, tone));
  const running = pulls.filter(({ word }) => word === "running");
  if (running.length > 0) parts.push(paint(runningText(running), "busy"));
  for (const word of ["verifying", "queued", UNANSWERED]) if (count(word) > 0) parts.push(`${count(word)} ${word}`);
  return parts.join(", ");
}

function runningText(running: readonly Seen[]): string {
  const known = running.flatMap(({ percent }) => (percent === null ? [] : [percent]));
  if (known.length === 0) return `${running.length} running`;
  const [least, most] = [Math.min(...known), Math.max(...known)];
  return `${running.length} at ${least === most ? "" : `${least} to `}${most} %`;
}
