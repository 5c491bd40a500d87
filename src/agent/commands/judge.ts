// Judges the file that arrived in an inbox: a command that may run, or an error that answers it.
import { createHash } from "node:crypto";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { normalModelName } from "../../base/model_name.ts";
import { AgentName, CommandId, CommandV1, CommandV2, PROTOCOL_VERSION, VERBS, Verb } from "../../protocol.ts";
import type { Content, Delivery, ReplyAddress } from "../../transport.ts";

/** Where the response goes, under which ids, and in which version. */
export interface AnswerTo {
  readonly address: ReplyAddress;
  /** Two when a version 1 command's `command_id` differs from its file's name: both get the response. */
  readonly ids: readonly string[];
  readonly version: 1 | 2;
  /** The hex SHA-256 of the command's bytes; null for version 1, and for a file that was refused unread. */
  readonly request: string | null;
}

export interface AcceptedCommand {
  readonly verb: Verb;
  /** In Ollama's form; null for verbs without a model. */
  readonly model: string | null;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The sender's word for the person or program that asks; null if it names nobody. Not verified. */
  readonly requestedBy: string | null;
  readonly answerTo: AnswerTo;
  /** The key of a changing command in the ledger. */
  readonly ledgerKey: string;
  /** How long after its publication it may still start, in ms. */
  readonly ttlMs: number;
  /** The key that signed it, and when it ends, in ms on the transport's clock; null: it is not signed. */
  readonly signed: { readonly keyId: string; readonly expiresAtMs: number } | null;
}

export interface Refusal {
  readonly error: CourierError;
  readonly answerTo: AnswerTo;
  /** Null when the document does not name a known verb. */
  readonly verb: Verb | null;
  /** Null when it names none that can be read. */
  readonly model: string | null;
  /** The command, if this agent refuses what another one may have accepted; null: no agent runs it. */
  readonly accepted: AcceptedCommand | null;
}

interface Validity {
  readonly agent: string;
  /** How old a version 1 list, and a version 1 pull or delete, may be, in ms. */
  readonly listTtlMs: number;
  readonly changeTtlMs: number;
}

/**
 * Judges everything about a delivery except its age and what its signature is worth.
 * @param keyId the key that signed it
 * @returns the command, or the reason for the refusal and where the response goes
 */
export function judge(delivery: Delivery, validity: Validity, keyId: string | null = null): AcceptedCommand | Refusal {
  const document = "text" in delivery.content ? parseObject(delivery.content.text) : undefined;
  const answerTo = addressee(delivery, document);
  const verb = Verb.safeParse(document?.["command"]).data ?? null;
  try {
    if ("refused" in delivery.content) throw invalid(delivery.content.refused);
    if (document === undefined) throw invalid("The command is not a JSON object");
    if (isVersion1(document)) return acceptV1(delivery, document, validity, answerTo);
    return acceptV2(delivery, document, { validity, answerTo, keyId });
  } catch (error) {
    const model = document?.["model_name"];
    const named = typeof model === "string" ? model : null;
    return { error: asCourierError(error), answerTo, verb, model: named, accepted: null };
  }
}

/** Clocks are not exact: how far ahead of the transport's the time of an unsigned command may be. */
const MAX_AHEAD_MS = 60_000;

/**
 * The reason why a command may not start by its age.
 * @param nowMs the transport's clock, as in `sentAtMs`
 * @returns `deadline_exceeded`; `invalid` for a time in the future; null when the command is in time
 */
export function lateness(
  { ttlMs, signed }: AcceptedCommand,
  { inbox, sentAtMs }: Delivery,
  nowMs: number,
): CourierError | null {
  // Any user who can write to the share can set the time of a file.
  if (signed !== null) return nowMs < signed.expiresAtMs ? null : expired(nowMs - signed.expiresAtMs);
  const ageMs = nowMs - sentAtMs;
  // As of `dated()`, no command of version 1 is of the future.
  if (ageMs < -MAX_AHEAD_MS && inbox !== "shared") return ofTheFuture(-ageMs);
  if (ageMs < ttlMs) return null;
  const ages = `${Math.round(ageMs / 1000)} s old and was valid for ${ttlMs / 1000} s`;
  return new CourierError("deadline_exceeded", `The command is ${ages}: it was not run`, { hint: "Send it again" });
}

function ofTheFuture(aheadMs: number): CourierError {
  const ahead = `${Math.round(aheadMs / 1000)} s ahead of the share's clock`;
  return new CourierError("invalid", `The time of the command's file is ${ahead}: it was not run`, {
    hint: "Send it again. If that does not help, another program sets the times of files on the share",
  });
}

function expired(sinceMs: number): CourierError {
  const message = `The command expired ${Math.round(sinceMs / 1000)} s ago: it was not run`;
  return new CourierError("deadline_exceeded", message, { hint: "Send it again" });
}

/** The error for a command that may or may not have run before, and must not run twice. */
export function outcomeUnknown(reason: string): CourierError {
  return new CourierError("unavailable", `The outcome of the command is unknown: ${reason}`, {
    hint: "Check the models and jobs before you send it again",
  });
}

function acceptV1(delivery: Delivery, document: object, validity: Validity, answerTo: AnswerTo): AcceptedCommand {
  if (delivery.inbox !== "shared") throw invalid("A command without a version belongs in the shared inbox");
  const { command, command_id, model_name } = parseWith(CommandV1, document);
  if (command_id !== undefined) parseWith(CommandId, command_id, "command_id");
  const verb = Verb.safeParse(command).data;
  // The words of the legacy service.
  if (verb === undefined || VERBS[verb].version > 1) throw invalid(`Unknown command: ${clip(command)}`);
  const ttlMs = VERBS[verb].changing ? validity.changeTtlMs : validity.listTtlMs;
  // It names no agent and no end, so that a signature would be worth nothing.
  const rest = { arguments: {}, requestedBy: null, answerTo, ledgerKey: delivery.key, ttlMs, signed: null };
  return { verb, model: modelOf(verb, model_name), ...rest };
}

interface Terms {
  readonly validity: Validity;
  readonly answerTo: AnswerTo;
  /** Null: it is not signed. */
  readonly keyId: string | null;
}

function acceptV2(delivery: Delivery, document: object, { validity, answerTo, keyId }: Terms): AcceptedCommand {
  requireVersion(document, validity.agent);
  if (delivery.inbox === "shared") {
    throw invalid("The shared inbox takes version 1 only", "Put it into the inbox of the agent that should run it");
  }
  const command = parseWith(CommandV2, document);
  const { command_id, agent, model_name, ttl_ms, requested_by: requestedBy = null } = command;
  if (command_id !== delivery.id)
    throw invalid(`The file is named ${delivery.id}, but its command_id is ${command_id}`);
  if (agent !== validity.agent)
    throw invalid(`This is the inbox of ${validity.agent}, but the command is for ${agent}`);
  const verb = Verb.safeParse(command.command).data;
  if (verb === undefined) {
    throw new CourierError("unimplemented", `Unknown command: ${clip(command.command)}`, {
      hint: `gpu-agent on ${validity.agent} may be older than the sender: update it`,
    });
  }
  const given = { arguments: command.arguments ?? {}, requestedBy, answerTo, ledgerKey: command_id };
  const accepted = { verb, model: modelOf(verb, model_name), ...given, ttlMs: ttl_ms };
  return { ...accepted, signed: keyId === null ? null : { keyId, expiresAtMs: endOf(command) } };
}

/** Of a signed command. */
function endOf({ expires_at }: CommandV2): number {
  if (expires_at !== undefined) return expires_at;
  throw invalid("A signed command needs expires_at, in ms since 1970", "Sign it again with expires_at");
}

/** Where the response to any file goes: to a valid `reply_to`, otherwise beside the shared inbox under the file's name. */
function addressee(
  { id, inbox, content }: Delivery,
  document: Readonly<Record<string, unknown>> | undefined,
): AnswerTo {
  const replyTo = AgentName.safeParse(document?.["reply_to"]);
  if (document !== undefined && !isVersion1(document) && replyTo.success) {
    return { address: { replyTo: replyTo.data }, ids: [id], version: 2, request: requestOf(content) };
  }
  const given = CommandId.safeParse(document?.["command_id"]);
  const ids = inbox === "shared" && given.success && given.data !== id ? [id, given.data] : [id];
  if (inbox === "shared") return { address: "shared", ids, version: 1, request: null };
  return { address: "shared", ids, version: 2, request: requestOf(content) };
}

function requestOf(content: Content): string | null {
  return "text" in content ? createHash("sha256").update(content.text).digest("hex") : null;
}

/** Version 1 has no such field; some writers put null into what they leave out. */
function isVersion1(document: Readonly<Record<string, unknown>>): boolean {
  return document["version"] === undefined || document["version"] === null;
}

function requireVersion(document: object, agent: string): void {
  if (!("version" in document) || typeof document.version !== "number" || document.version <= PROTOCOL_VERSION) return;
  throw new CourierError(
    "unimplemented",
    `This agent speaks versions 1 and ${PROTOCOL_VERSION}, not ${document.version}`,
    {
      hint: `Update gpu-agent on ${agent}`,
    },
  );
}

function modelOf(verb: Verb, modelName: string | undefined): string | null {
  if (!VERBS[verb].model) return null;
  if (modelName === undefined || modelName.trim() === "") throw invalid("Model name is required");
  return normalModelName(modelName);
}

interface Schema<Value> {
  safeParse(
    value: unknown,
  ): { success: true; data: Value } | { success: false; error: { issues: { path: PropertyKey[]; message: string }[] } };
}

function parseWith<Value>(schema: Schema<Value>, value: unknown, field = "command"): Value {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path.map(String).join(".");
  throw invalid(`Invalid ${path === undefined || path === "" ? field : path}: ${issue?.message ?? "not valid"}`);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function invalid(message: string, hint?: string): CourierError {
  return new CourierError("invalid", message, { hint });
}

function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
