// Makes the events of webhooks: their ids, the jobs and agents that they are about, and their bodies.
import { createHash, randomUUID } from "node:crypto";
import { isoTime } from "../../base/clock.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { agentDocument } from "../../documents/agents.ts";
import { jobDocument } from "../../documents/jobs.ts";
import type { Job } from "../../protocol.ts";
import type { WebhookEvent } from "./documents.ts";

export interface NewEvent {
  /** The same when the same event is made again. */
  readonly id: string;
  readonly type: WebhookEvent["type"];
  /** Events with the same subject are sent in order. */
  readonly subject: string;
  readonly body: string;
}

/** As far as webhooks go. */
export type Condition = "online" | "away" | "degraded";

const TYPES = { online: "agent.back", away: "agent.away", degraded: "agent.degraded" } as const;

/** An agent that drains stops soon, and may be back before anybody notices. Undefined: nobody knows while the share is away. */
export function conditionOf({ reason }: AgentView): Condition | undefined {
  if (reason === "share_stale") return undefined;
  if (reason === "stopped" || reason === "silent") return "away";
  return reason === "ollama_down" || reason === "degraded" ? "degraded" : "online";
}

/** A job ends once, so its event needs no memory to keep its id: neither a restart nor a lost store gives it another. */
export function jobEnded(job: Job, nowMs: number): NewEvent {
  const data = jobDocument(job);
  const subject = `${job.agent}/${job.id ?? ""}`;
  const id = `msg_${createHash("sha256").update(`job.ended\n${subject}`).digest("hex").slice(0, 32)}`;
  return { id, subject, ...written({ type: "job.ended", timestamp: data.ended_at ?? isoTime(nowMs), data }) };
}

export function agentChanged(view: AgentView, condition: Condition, nowMs: number) {
  const type = TYPES[condition];
  const event = { type, timestamp: isoTime(nowMs), data: agentDocument(view) };
  return { id: randomId(), subject: view.agent, ...written(event), type } satisfies NewEvent;
}

export function testEvent(nowMs: number): NewEvent {
  const data = { message: "A test event of gpu-server" };
  return { id: randomId(), subject: "test", ...written({ type: "webhook.test", timestamp: isoTime(nowMs), data }) };
}

function randomId(): string {
  return `msg_${randomUUID().replaceAll("-", "")}`;
}

function written(event: WebhookEvent): Pick<NewEvent, "type" | "body"> {
  return { type: event.type, body: JSON.stringify(event) };
}
