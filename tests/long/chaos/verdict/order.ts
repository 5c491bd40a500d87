// Changes of one model run in the order of their publication, and the last of them decides what is there in the end.
import type { Job } from "#src/protocol.ts";
import type { Command } from "../history.ts";
import { jobIdsOf, SHARED_MODELS } from "../load.ts";
import type { Ran } from "../runs.ts";
import { type BoxFacts, type Inquiry, isChange } from "./facts.ts";
import { codeOf } from "./once.ts";

/** The log has whole milliseconds, and is written a little after the run. */
const LOG_MS = 10;

interface Change {
  readonly command: Command;
  readonly run: Ran;
}

export function judgeOrder(inquiry: Inquiry): void {
  for (const box of inquiry.facts.boxes) {
    for (const model of SHARED_MODELS) {
      judgeTurns(inquiry, box, model);
      judgeCancelled(inquiry, box, model);
      judgeEnd(inquiry, box, model);
    }
  }
}

function isAbout({ model, destination, verb }: Command, name: string): boolean {
  return destination === name || (model === name && verb !== "copy_model");
}

/** Those that this agent may have run, in the order in which they were sent. */
function changesOf(inquiry: Inquiry, { name }: BoxFacts, model: string): readonly Command[] {
  const own = inquiry.facts.commands.filter((command) => {
    if (!isChange(command) || !isAbout(command, model) || command.id === "") return false;
    if (command.inbox !== "shared") return command.inbox === name;
    const runs = inquiry.runsOf(command);
    return runs.length === 0 || runs.some(({ agent }) => agent === name);
  });
  return own.toSorted((a, b) => a.sentFromMs - b.sentFromMs);
}

/** In one inbox none begins before an earlier one has ended. */
function judgeTurns(inquiry: Inquiry, box: BoxFacts, model: string): void {
  const runs = changesOf(inquiry, box, model).flatMap((command): Change[] => {
    const [run] = inquiry.runsOf(command).filter(({ agent }) => agent === box.name);
    return run === undefined || command.sharesId ? [] : [{ command, run }];
  });
  for (const [index, second] of runs.entries()) {
    for (const first of runs.slice(0, index)) {
      if (first.command.inbox !== second.command.inbox || !inquiry.isBefore(first.command, second.command)) continue;
      const kind = turned(first.run, second.run);
      if (kind === null || wasHidden(inquiry, first, second)) continue;
      inquiry.report(kind, `${model} on ${box.name}`, first.command, second.command);
    }
  }
}

function turned(first: Ran, second: Ran): "out of order" | "at the same time" | null {
  if (second.endMs < first.endMs - LOG_MS && second.beginMs === null) return "out of order";
  if (second.beginMs === null || second.beginMs >= first.endMs - LOG_MS) return null;
  return first.beginMs === null || second.beginMs < first.beginMs ? "out of order" : "at the same time";
}

/** The agent made the inbox again while the real one was away with the first command in it. */
function wasHidden(inquiry: Inquiry, first: Change, second: Change): boolean {
  return inquiry.had(({ isReplaced }) => isReplaced, first.command.sentFromMs, second.run.endMs);
}

/** A job ends as cancelled by a cancel, or by a delete that was not asked for before the pull. */
function judgeCancelled(inquiry: Inquiry, box: BoxFacts, model: string): void {
  const changes = changesOf(inquiry, box, model);
  for (const job of box.jobs.filter((each) => each.model === model && each.state === "cancelled")) {
    const [pull] = changes.filter((command) => command.verb === "pull_model" && mayHaveStarted(command, job));
    const cancels = inquiry.facts.commands.filter(({ verb, jobId, id }) => {
      return verb === "cancel_job" && jobId === job.id && id !== "";
    });
    const deletes = changes.filter((command) => {
      return command.verb === "delete_model" && (pull === undefined || !inquiry.isBefore(command, pull));
    });
    if (pull === undefined || cancels.length > 0 || deletes.length > 0) continue;
    const earlier = changes.filter((command) => command.verb === "delete_model");
    inquiry.report("cancelled by an earlier delete", `job ${job.id} of ${model} on ${box.name}`, pull, ...earlier);
  }
}

/** A pull without an answer may have started any job of its model. */
function mayHaveStarted(pull: Command, { id }: Job): boolean {
  const named = jobIdsOf(pull);
  return id !== null && (named.includes(id) || named.length === 0);
}

/** What a change leaves: the model is there, it is not, or nothing was changed. */
type Leaves = "there" | "gone" | "unchanged";

/** The end state is what one of the possible last changes left. */
function judgeEnd(inquiry: Inquiry, box: BoxFacts, model: string): void {
  const changes = changesOf(inquiry, box, model);
  const found = box.installed.includes(model) ? "there" : "gone";
  const isFixed = (first: Command, second: Command): boolean => inquiry.isBefore(first, second);
  const { last, possible } = ends(box, changes, isFixed);
  if (possible.has(found)) return;
  const inTurn = ends(box, changes, (first, second) => first.inbox === second.inbox && isFixed(first, second));
  const kind = inTurn.possible.has(found) ? "wrong end across the inboxes" : "wrong end";
  const text = `${model} on ${box.name} is ${found}, and the last changes leave it ${[...possible].join(" or ")}`;
  inquiry.report(kind, text, ...last);
}

/** The changes that may have been the last one, and what they leave. */
function ends(box: BoxFacts, changes: readonly Command[], isBefore: (first: Command, second: Command) => boolean) {
  const effects = changes.map((command) => ({ command, leaves: leavesOf(box, command) }));
  const real = effects.filter(({ leaves }) => leaves !== "unchanged");
  const sure = real.filter(({ command }) => isSure(command));
  const last = real.filter(({ command }) => !sure.some((other) => isBefore(command, other.command)));
  const possible = new Set(last.map(({ leaves }) => leaves));
  if (sure.length === 0) possible.add("gone");
  return { last: last.map(({ command }) => command), possible };
}

/** A version 1 pull does not name its job, which may have been cancelled. */
function isSure(command: Command): boolean {
  const isJobUnknown = command.verb === "pull_model" && jobIdsOf(command).length === 0;
  return codeOf(command) === "success" && !isJobUnknown;
}

function leavesOf({ jobs }: BoxFacts, command: Command): Leaves {
  const code = codeOf(command);
  // Version 1 responses have no code, and of a version 2 command without a response anything is possible.
  const hasFailed = code !== undefined && code !== "success" && code !== "unavailable";
  if (hasFailed || command.verb === "unload_model") return "unchanged";
  if (command.verb === "delete_model") return "gone";
  if (command.verb === "copy_model") return "there";
  const named = jobIdsOf(command);
  const job = jobs.find(({ id }) => id !== null && named.includes(id));
  return job === undefined || job.state === "succeeded" ? "there" : "unchanged";
}
