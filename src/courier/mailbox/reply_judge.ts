// Judges whether a reply answers the command that was sent: anyone who can write to the share can put one under its id.
import { parseJson } from "../../base/foreign_text.ts";
import { type PROTOCOL_VERSION, Response } from "../../protocol.ts";

/** A command as it was sent. */
export interface SentCommand {
  readonly version: 1 | typeof PROTOCOL_VERSION;
  readonly id: string;
  /** The agent that was asked. A version 1 command names none: the legacy service. */
  readonly agent: string;
  /** As it was published, to the byte. */
  readonly text: string;
}

/** The response, or the reason, in our own words, why the reply does not answer this command. */
export type Judgment = { readonly response: Response } | { readonly mismatch: string };

/** @param text of the reply, to the byte */
export type ReplyJudge = (sent: SentCommand, text: string) => Judgment;

/** Compares the fields of the response. One that is missing matches in version 1, which has none of them. */
export function judgeReply(sent: SentCommand, text: string): Judgment {
  const response = Response.safeParse(parseJson(text)).data;
  if (response === undefined) return { mismatch: "it does not follow the protocol" };
  const { version, command_id: id, agent } = response;
  const judged = { response: withOwnJobs(response, sent.agent) };
  if (sent.version === 1) return id === undefined || id === sent.id ? judged : otherCommand();
  if (version !== sent.version) return { mismatch: `it is not of version ${sent.version}` };
  if (id !== sent.id) return otherCommand();
  return agent === sent.agent ? judged : { mismatch: `it is not from ${sent.agent}` };
}

/** Without the jobs under another agent's name: they would be shown to those who may see only that one. */
function withOwnJobs({ job, jobs, ...rest }: Response, agent: string): Response {
  return {
    ...rest,
    ...(job?.agent === agent ? { job } : {}),
    ...(jobs === undefined ? {} : { jobs: jobs.filter((one) => one.agent === agent) }),
  };
}

function otherCommand(): Judgment {
  return { mismatch: "it is for another command" };
}
