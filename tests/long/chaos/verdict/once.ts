// A change takes effect at most once, a success did take effect, a refusal did not, and nothing starts after its time.
import { type Command, responseOf } from "../history.ts";
import { jobIdsOf } from "../load.ts";
import { type Inquiry, isChange } from "./facts.ts";

/** Between the agent's look at the clock and the run are a write to the ledger and a busy machine. */
const LATE_MS = 500;

export function judgeEffects(inquiry: Inquiry): void {
  for (const command of inquiry.facts.commands) {
    if (!command.sharesId) judgeStart(inquiry, command);
    if (isChange(command) && !command.sharesId) judgeRuns(inquiry, command);
    // It need not have been seen.
    if (command.isReplaced) continue;
    if (command.isAlone && command.verb === "delete_model") judgeOwnDelete(inquiry, command);
    if (command.isAlone && command.verb === "pull_model") judgeOwnPull(inquiry, command);
  }
}

/** As the agents logged it. A crash repeats a run, and only a crash does. */
function judgeRuns(inquiry: Inquiry, command: Command): void {
  const runs = inquiry.runsOf(command);
  const kills = inquiry.kills(command.inbox, command.sentFromMs, Math.max(0, ...runs.map(({ endMs }) => endMs)));
  if (runs.length > 1 + kills) inquiry.report("run twice", `${runs.length} runs, ${kills} crashes`, command);
  const agents = new Set(runs.map(({ agent }) => agent));
  if (agents.size > 1) inquiry.report("run by two agents", [...agents].join(" and "), command);
}

function judgeStart(inquiry: Inquiry, command: Command): void {
  const { publishedByMs, ttlMs } = command;
  const lateMs = LATE_MS + inquiry.facts.slackMs;
  const endMs = publishedByMs + ttlMs + lateMs;
  for (const { agent, beginMs } of inquiry.runsOf(command)) {
    if (beginMs === null || beginMs <= endMs) continue;
    // It was stopped between its look at the clock and the run.
    const wasStopped = ({ kind, target }: { kind: string; target: string }) => kind === "stop" && target === agent;
    if (inquiry.had(wasStopped, beginMs - lateMs, beginMs)) continue;
    inquiry.report("started late", `${((beginMs - publishedByMs) / 1000).toFixed(1)} s old`, command);
  }
}

function judgeOwnDelete(inquiry: Inquiry, command: Command): void {
  const { boxes } = inquiry.facts;
  const asked = boxes.flatMap(({ forwarded }) =>
    forwarded.filter(({ route, model }) => route === "DELETE /api/delete" && model === command.model),
  );
  const done = asked.filter(({ status }) => status === 200);
  const last = Math.max(0, ...asked.map(({ atMs }) => atMs));
  const kills = inquiry.kills(command.inbox, command.sentFromMs, last);
  if (asked.length > 1 + kills || (command.inbox === "shared" && done.length > 1)) {
    inquiry.report("deleted twice", `${asked.length} deletes at Ollama, ${kills} crashes`, command);
  }
  if (done.length === 0 && inquiry.hasSucceeded(command)) inquiry.report("answered, not done", "no delete", command);
  if (done.length > 0 && inquiry.isCertainlyNotRun(command)) inquiry.report("refused, but done", "deleted", command);
}

function judgeOwnPull(inquiry: Inquiry, command: Command): void {
  const jobs = inquiry.facts.boxes.flatMap((box) => box.jobs.filter(({ model }) => model === command.model));
  const ids = new Set([...jobs.map(({ id }) => id), ...jobIdsOf(command)]);
  if (ids.size > 1) inquiry.report("pulled twice", `jobs ${[...ids].join(", ")}`, command);
  if (ids.size > 0 && inquiry.isCertainlyNotRun(command)) inquiry.report("refused, but done", "a job", command);
  if (inquiry.hasSucceeded(command) && jobs.length === 0) inquiry.report("answered, not done", "no job", command);
  for (const { agent, state, error } of jobs) {
    const { installed = [] } = inquiry.facts.boxes.find(({ name }) => name === agent) ?? {};
    const isThere = installed.includes(command.model ?? "");
    if (state === "succeeded" && !isThere) inquiry.report("answered, not done", "succeeded, not installed", command);
    if (state === "cancelled" && !isCancelled(inquiry, ids)) inquiry.report("cancelled by nobody", `${error}`, command);
    if (state !== "succeeded" && state !== "cancelled") inquiry.report("not pulled", `${state}: ${error}`, command);
  }
}

function isCancelled({ facts }: Inquiry, ids: ReadonlySet<string | null>): boolean {
  return facts.commands.some(({ verb, jobId, id }) => verb === "cancel_job" && id !== "" && ids.has(jobId));
}

/** The code of its first answer, `success` included; undefined without an answer. */
export function codeOf({ answers }: Command): string | undefined {
  const [answer] = answers;
  const response = answer === undefined ? undefined : responseOf(answer);
  return response?.success === true ? "success" : response?.code;
}
