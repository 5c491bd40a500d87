// The condition of the agent: its parts set it; its state document, its status line and its sweep depend on it.
import type { AgentStatus, State } from "../../protocol.ts";
import type { SweepScope } from "../../transport.ts";

export class Condition {
  phase: Exclude<AgentStatus, "degraded"> = "running";
  /** The state was published once, and commands are served. */
  isReady = false;
  /** A sentence about the other agent with this name; null when there is no such agent. */
  nameConflict: string | null = null;
  servesSharedInbox = false;
  readonly #agent: string;
  readonly #ledger: { readonly trouble: { readonly message: string } | null };

  constructor(agent: string, ledger: { readonly trouble: { readonly message: string } | null }) {
    this.#agent = agent;
    this.#ledger = ledger;
  }

  /** As the state document shows it. */
  get status(): Pick<State, "status" | "degraded_reason" | "reading_only"> {
    const { trouble } = this.#ledger;
    const readingOnly = trouble === null ? null : `only reading verbs are served: ${trouble.message}`;
    const reason = this.nameConflict ?? readingOnly;
    if (this.phase !== "running" || reason === null) return { status: this.phase, degraded_reason: null };
    return { status: "degraded", degraded_reason: reason, reading_only: this.nameConflict === null };
  }

  /** The commands that it can serve. */
  get serves(): "all" | "reading" | "nothing" {
    if (this.phase !== "running" || this.nameConflict !== null) return "nothing";
    return this.#ledger.trouble === null ? "all" : "reading";
  }

  /** What it may sweep now: everything while it serves the shared inbox, nothing while another agent has its name. */
  get sweepScope(): SweepScope | null {
    if (this.phase !== "running" || this.nameConflict !== null) return null;
    return this.servesSharedInbox ? "everything" : { agent: this.#agent };
  }
}
