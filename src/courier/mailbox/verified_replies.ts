// The judge of replies by the keys of the agents.
import type { KnownAgents } from "../../trust/agents/known_agents.ts";
import { judgeReply, type ReplyJudge } from "./reply_judge.ts";

/** An agent whose key is known must have signed its response, to this command. Version 1 is never signed. */
export function verifiedReplies(agents: KnownAgents): ReplyJudge {
  return (sent, text) => {
    const mismatch = sent.version === 1 ? null : agents.judgeResponse(sent.agent, sent.text, text);
    return mismatch === null ? judgeReply(sent, text) : { mismatch };
  };
}
