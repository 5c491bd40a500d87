// The fetches into the mirror that agents run, as documents: texts from boxes, without what is no code or no time.
import { isErrorCode } from "../../base/errors.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import type { Fetch } from "../../protocol.ts";
import { instantOrNull } from "../instants.ts";
import type { FetchDocument } from "./mirror.ts";

/** As the states show them, in the order of the agents. */
export function fetchesInStates(views: readonly AgentView[]): readonly FetchDocument[] {
  return views.flatMap(({ agent, state }) => (state?.fetches ?? []).map((fetch) => agentFetchDocument(agent, fetch)));
}

export function agentFetchDocument(agent: string, fetch: Fetch): FetchDocument {
  const { code = null, total_bytes = null, bytes_per_second = null, created_at = null } = fetch;
  const rounded = (bytes: number | null): number | null => (bytes === null ? null : Math.round(bytes));
  return {
    id: fetch.id,
    agent,
    model: fetch.model,
    state: fetch.state,
    completed_bytes: Math.round(fetch.completed_bytes),
    total_bytes: rounded(total_bytes),
    bytes_per_second: rounded(bytes_per_second),
    created_at: instantOrNull(created_at),
    started_at: instantOrNull(fetch.started_at ?? null),
    finished_at: instantOrNull(fetch.finished_at ?? null),
    code: code === null ? null : isErrorCode(code) ? code : "internal",
    error: fetch.error ?? null,
    requested_by: null,
  };
}
