// The condition of the agent: its parts set it; its state document, its status line and its sweep depend on it.
import type { AgentStatus, State } from "../../protocol.ts";
import type { SweepScope } from "../../transport.ts";

interface Needed {
  readonly trouble: { readonly message: string } | null;
}

export class Condition {
  phase: Exclude<AgentStatus, "degraded"> = "running";
  /** The state was published once, and commands are served. */
  isReady = false;
  /** It leaves this transport: what has not begun is refused. */
  isLeaving = false;
  /** A sentence about the other agent with this name; null when there is no such agent. */
  nameConflict: string | null = null;
  servesSharedInbox = false;
  /** Documents under its name that it did not publish, and that did not stop it. */
  foreignStates = 0;
  readonly #agent: string;
  readonly #needed: readonly Needed[];

  /** @param needed what changing verbs cannot do without */
  constructor(agent: string, needed: readonly Needed[]) {
    this.#agent = agent;
    this.#needed = needed;
  }

  /** As the state document shows it. */
  get status(): Pick<State, "status" | "degraded_reason" | "reading_only"> {
    const trouble = this.#trouble;
    const readingOnly = trouble === null ? null : `only reading verbs are served: ${trouble.message}`;
    const reason = this.nameConflict ?? readingOnly;
    if (this.phase !== "running" || reason === null) return { status: this.phase, degraded_reason: null };
    return { status: "degraded", degraded_reason: reason, reading_only: this.nameConflict === null };
  }

  /** The commands that it can serve. */
  get serves(): "all" | "reading" | "nothing" {
    if (this.phase !== "running" || this.isLeaving || this.nameConflict !== null) return "nothing";
    return this.#trouble === null ? "all" : "reading";
  }

  /** What it may sweep now: everything while it serves the shared inbox, nothing while another agent has its name. */
  get sweepScope(): SweepScope | null {
    if (this.phase !== "running" || this.nameConflict !== null) return null;
    return this.servesSharedInbox ? "everything" : { agent: this.#agent };
  }

  get #trouble(): Needed["trouble"] {
    return this.#needed.find(({ trouble }) => trouble !== null)?.trouble ?? null;
  }
}
