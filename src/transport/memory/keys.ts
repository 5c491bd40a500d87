// The keys under which the memory transport holds inboxes and replies.
import { CourierError } from "../../base/errors.ts";
import { AgentName } from "../../protocol.ts";
import type { Inbox, ReplyAddress } from "../../transport.ts";

export function requireAgentName(agent: string): void {
  if (!AgentName.safeParse(agent).success)
    throw new CourierError("invalid", `Cannot use ${JSON.stringify(agent)} as agent name`);
}

export function inboxKey(inbox: Inbox): string {
  return inbox === "shared" ? "shared" : `agent ${inbox.agent}`;
}

export function replyKey(address: ReplyAddress): string {
  return address === "shared" ? "shared" : `to ${address.replyTo}`;
}
