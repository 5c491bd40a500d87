// What webhooks need of a queue that several servers share.
import type { QueueEntry } from "./queue_entry.ts";

type AgentEvent = Extract<QueueEntry, { kind: "agent" }>;

export interface SharedChange extends Pick<AgentEvent, "agent" | "condition" | "event"> {
  readonly atMs: number;
}

export interface SharedQueue {
  /** Whether this server is the one that sends now. */
  readonly sends: boolean;
  /** Does the work whenever this server is the one that sends, until `stop` aborts. */
  whileSending(stop: AbortSignal, work: (sending: AbortSignal) => Promise<void>): Promise<void>;
  /** Something was sent: the others hear of it now. */
  wake(): void;
  /** The number of the end after which a target begins; null: no server has it. */
  startOf(target: string): number | null;
  /** Every end up to this number is done for the target; 0: nobody knows of one. */
  doneUpTo(target: string): number;
  /**
   * Adds the event of an agent to the queues of all servers, unless another one was faster. It comes back into this server's.
   * @throws CourierError `unavailable`
   */
  report(change: SharedChange): Promise<void>;
  /** @param taken called when the queue has changed by what servers share, with the agents that have another condition */
  listen(taken: (changed: ReadonlyMap<string, string>) => void): void;
}
