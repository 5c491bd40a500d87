// What one agent contributes to the lists of the fleet.
import type { Job, Model, RunningModel } from "../../protocol.ts";
import type { AgentView } from "../agent_view.ts";
import { describeLastingly } from "../describe_view.ts";
import { awayEntry, type Unavailable } from "../unavailable.ts";

export interface Part<Item> {
  readonly items: readonly Item[];
  /** Why the agent's items are missing or may be old; null: they are current. */
  readonly away: Unavailable | null;
  /** Its document does not hold all of them: it must be asked. */
  readonly isCut: boolean;
  /** Whether these are all its items. */
  readonly isPresent: boolean;
}

export type AgentRunningModel = RunningModel & { readonly agent: string };

export interface Contribution {
  readonly models: Part<Model>;
  readonly running: Part<AgentRunningModel>;
  readonly jobs: Part<Job>;
  /** The jobs in its document, also when it was cut. */
  readonly published: readonly Job[];
}

/** Of an agent that is gone. */
export const NOTHING = { items: [], away: null, isCut: false, isPresent: false };
const CUT = { ...NOTHING, isCut: true };
const PRESENT = { ...NOTHING, isPresent: true };

export function contributionOf(view: AgentView): Contribution {
  return { models: models(view), running: running(view), jobs: jobs(view), published: view.state?.jobs ?? [] };
}

function models(view: AgentView): Part<Model> {
  const { state, online, reason } = view;
  if (!online) return offline(view);
  if (state === null || state.truncated.includes("models")) return CUT;
  if (reason === "ollama_down") return { ...NOTHING, away: away(view) };
  if (state.models === null) return { ...NOTHING, away: awayEntry(view, "Ollama has not answered yet") };
  return { ...PRESENT, items: state.models };
}

function running(view: AgentView): Part<AgentRunningModel> {
  const { agent, state, online, reason } = view;
  if (!online) return offline(view);
  if (reason === "ollama_down") return { ...NOTHING, away: away(view) };
  if (state === null || state.truncated.includes("running")) return CUT;
  return { ...PRESENT, items: state.running.map((model) => ({ agent, ...model })) };
}

function jobs(view: AgentView): Part<Job> {
  const { state, online } = view;
  if (!online) return { ...offline<Job>(view), items: state?.jobs ?? [] };
  return state?.truncated.includes("jobs") === true ? CUT : { ...PRESENT, items: state?.jobs ?? [] };
}

/** A silent legacy service is gone: it never says that it stops. */
function offline<Item>(view: AgentView): Part<Item> {
  return { ...NOTHING, away: view.legacyState === null ? away(view) : null };
}

function away(view: AgentView): Unavailable {
  return awayEntry(view, describeLastingly(view));
}
