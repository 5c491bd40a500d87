// Every command is answered, or its sender got an error that it may get; nothing stays in an inbox.
import { type Command, responseOf } from "../history.ts";
import { BROKEN } from "../ollama_front.ts";
import { type Inquiry, isChange } from "./facts.ts";

/** An agent looks again after up to a minute in some cases. */
const ANSWERED_WITHIN_MS = 66_000;
/** A change that its sender withdrew may be looked at once more in this time before it starts. */
const WITHDRAWN_WITHIN_MS = 1500;
/** A response is published after it is recorded; the sender sees it this much later at most. */
const RECORDED_WITHIN_MS = 2000;
/** By verb, the codes that an answer may have in addition to those that any may have. */
const CODES: Readonly<Record<string, readonly string[]>> = {
  delete_model: ["not_found"],
  copy_model: ["conflict"],
  cancel_job: ["not_found", "conflict"],
};
/** The disk of the ledger is full at times. */
const ANY_CODES = ["success", "unavailable", "deadline_exceeded", "exhausted"];
const SENDER_CODES = [...ANY_CODES, "cancelled", "not_found"];
/** While the share is read-only. */
const DENIALS = ["forbidden"];

export function judgeAnswers(inquiry: Inquiry): void {
  for (const command of inquiry.facts.commands) {
    judgeCodes(inquiry, command);
    if (command.id === "") continue;
    judgeSilence(inquiry, command);
    judgeRest(inquiry, command);
    judgeWithdrawn(inquiry, command);
    judgeConsistency(inquiry, command);
  }
  judgeStrays(inquiry);
}

function judgeCodes(inquiry: Inquiry, command: Command): void {
  const denials = inquiry.facts.mayDeny ? DENIALS : [];
  const overtaken = isOvertaken(inquiry, command) ? ["conflict"] : [];
  const allowed = [...ANY_CODES, ...denials, ...overtaken, ...(command.isAlone ? [] : (CODES[command.verb] ?? []))];
  const given = command.answers.map((answer) => {
    const response = responseOf(answer);
    if (response === undefined) return "no response of the protocol";
    // Version 1 responses have no code; an error of a broken Ollama is passed on as `internal`.
    const isOrdinary = response.success || response.version === undefined || response.error?.endsWith(BROKEN) === true;
    return isOrdinary ? "success" : (response.code ?? "no code");
  });
  const wrong = given.filter((code) => !allowed.includes(code));
  if (wrong.length > 0) inquiry.report("wrong code", `answered with ${wrong.join(", ")}`, command);
  const { end } = command;
  if (end === null || command.answers.length > 0) return;
  if (![...SENDER_CODES, ...denials].includes(end.code))
    inquiry.report("wrong code", `sender got ${end.code}`, command);
}

/** A pull that was hidden for a while is refused when a delete that was sent after it has run. */
function isOvertaken({ facts }: Inquiry, pull: Command): boolean {
  if (pull.verb !== "pull_model") return false;
  return facts.commands.some(({ verb, model, id, sentFromMs }) => {
    return verb === "delete_model" && model === pull.model && id !== "" && sentFromMs >= pull.sentFromMs;
  });
}

/** Nobody waits without an answer although everything has been healed for long. */
function judgeSilence(inquiry: Inquiry, command: Command): void {
  const { healedAtMs } = inquiry.facts;
  const { version, answers, end, publishedByMs, withdrawnAtMs } = command;
  if (!Number.isFinite(publishedByMs) || answers.length > 0 || command.isReplaced) return;
  if (version === 1) {
    // After a restart a response that is not older counts as its own: version 1 ids are not unique.
    // A refusal may be lost where the share stalls just then.
    const isRefused = inquiry.ranOf(command).some(({ didRun }) => !didRun);
    if (withdrawnAtMs === null && !command.hasResponse && !isRefused)
      inquiry.report("not answered", "a version 1 command has no response", command);
    return;
  }
  if (end?.code !== "deadline_exceeded") return;
  const waitedMs = end.atMs - Math.max(healedAtMs, publishedByMs);
  if (waitedMs < ANSWERED_WITHIN_MS + inquiry.facts.slackMs) return;
  inquiry.report("not answered", `waited ${(waitedMs / 1000).toFixed(0)} s after all was healed`, command);
}

/** Version 1 lists stay: their sender removes them. */
function judgeRest(inquiry: Inquiry, command: Command): void {
  const path = `${command.inbox}/${command.id}`;
  if (!inquiry.facts.left.includes(path)) return;
  if (command.version === 1 && command.verb === "list_models") return;
  inquiry.report("left in an inbox", path, command);
}

function judgeWithdrawn(inquiry: Inquiry, command: Command): void {
  const { withdrawnAtMs, version } = command;
  if (withdrawnAtMs === null || version === 1 || !isChange(command)) return;
  const late = inquiry
    .runsOf(command)
    .find(({ beginMs }) => beginMs !== null && beginMs > withdrawnAtMs + WITHDRAWN_WITHIN_MS + inquiry.facts.slackMs);
  if (late !== undefined) inquiry.report("run after it was withdrawn", late.agent, command);
}

/** A change has one response, however often it is published. */
function judgeConsistency(inquiry: Inquiry, command: Command): void {
  if (command.version === 1 || !isChange(command)) return;
  const texts = new Set(command.answers.map(({ text }) => text));
  if (texts.size > 1 && !isUnrecorded(inquiry, command))
    inquiry.report("answered twice, differently", `${texts.size} responses`, command);
}

/**
 * Whether the first response could not be recorded, because the disk of the ledger was full, and the agent was killed before
 * it had removed the command: it knows only that it had begun.
 */
function isUnrecorded(inquiry: Inquiry, { inbox, answers }: Command): boolean {
  const [first, ...others] = answers.toSorted((a, b) => a.atMs - b.atMs);
  const later = others.filter(({ text }) => text !== first?.text);
  if (first === undefined || !later.every((answer) => responseOf(answer)?.code === "unavailable")) return false;
  const isFull = inquiry.had(({ target }) => target === `${inbox}'s disk`, first.atMs - RECORDED_WITHIN_MS, first.atMs);
  return isFull && later.every(({ atMs }) => inquiry.kills(inbox, first.atMs, atMs) > 0);
}

function judgeStrays(inquiry: Inquiry): void {
  const known = new Set(inquiry.facts.commands.map(({ inbox, id }) => `${inbox}/${id}`));
  for (const path of inquiry.facts.left) if (!known.has(path)) inquiry.report("stray file", path);
}
