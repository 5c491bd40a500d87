// Builds responses in the version of the command.
import { isoTime } from "../../base/clock.ts";
import type { CourierError } from "../../base/errors.ts";
import { PROTOCOL_VERSION, type Response } from "../../protocol.ts";
import type { SigningKey } from "../../trust/keys.ts";
import { signDocument } from "../../trust/signature.ts";
import type { AnswerTo } from "./judge.ts";

/** The fields of a response that depend on the verb. */
export type Result = Pick<
  Response,
  | "message"
  | "models"
  | "job"
  | "jobs"
  | "running"
  | "show"
  | "freed_bytes"
  | "shared_bytes"
  | "disk_usage"
  | "pruned"
  | "fetch"
  | "published"
  | "truncated"
>;

/** @param agent this agent's name @param nowMs the box's clock */
export function success(result: Result, agent: string, answerTo: AnswerTo, nowMs: number): Response {
  const fields = answerTo.version === 1 ? version1Fields(result) : result;
  return { success: true, ...fields, timestamp: isoTime(nowMs), ...version2Fields(agent, answerTo) };
}

/** @param agent this agent's name @param nowMs the box's clock */
export function failure(
  { code, message, hint }: CourierError,
  agent: string,
  answerTo: AnswerTo,
  nowMs: number,
): Response {
  const details = answerTo.version === 1 ? {} : { code, ...(hint === undefined ? {} : { hint }) };
  const timestamp = isoTime(nowMs);
  return { success: false, error: message, ...details, timestamp, ...version2Fields(agent, answerTo) };
}

function version1Fields({ message, models }: Result): Result {
  return { ...(message === undefined ? {} : { message }), ...(models === undefined ? {} : { models }) };
}

/** @param key signs a response of version 2; null: it is not signed. Version 1 stays as legacy backends know it */
export function formatResponse(response: Response, key: SigningKey | null): string {
  const text = JSON.stringify(response);
  return key === null || response.version === undefined ? text : signDocument("response", text, key);
}

function version2Fields(agent: string, { version, ids, request }: AnswerTo): Partial<Response> {
  const id = ids[0];
  if (version === 1 || id === undefined) return {};
  return { version: PROTOCOL_VERSION, command_id: id, agent, ...(request === null ? {} : { request }) };
}
