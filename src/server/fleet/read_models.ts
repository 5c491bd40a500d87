// The models of the fleet or of one agent, for a route.
import type { IndexedFleet } from "../../courier/index/indexed_fleet.ts";
import { type FleetModels, mergeModels, publishedModels } from "../../courier/models.ts";
import type { Courier } from "../../courier.ts";
import type { FreshLists } from "../limits/fresh_lists.ts";
import type { Connection } from "./connection.ts";
import { readOrLastKnown } from "./known_fleet.ts";

export interface Listing {
  readonly agent: string | undefined;
  readonly fresh?: boolean;
  /** Whether what the agent last published also does. */
  readonly lastKnown?: boolean;
  readonly signal: AbortSignal;
}

interface Parts {
  readonly fleet: Pick<IndexedFleet, "requireCurrent" | "lastKnown" | "index">;
  readonly connection: Pick<Connection, "requireOpen">;
  readonly freshLists: Pick<FreshLists, "models">;
  readonly courier: Pick<Courier, "listModels">;
}

/** The models of one agent as its document shows them, if that is enough: most requests need nothing else. */
function publishedBy({ fleet: { index } }: Parts, agent: string): FleetModels | undefined {
  if (index.failure !== undefined || !index.isComplete) return undefined;
  const view = index.view(agent);
  const published = view && publishedModels(view);
  return published && { models: mergeModels([published]), unavailable: [] };
}

/**
 * The models of one agent, or all: as they are published where that is enough, otherwise as the agents answer.
 * @throws CourierError `not_found`; `unavailable` when no agent could answer
 */
export async function readModels(parts: Parts, listing: Listing): Promise<FleetModels> {
  const { agent, fresh = false, lastKnown = false, signal } = listing;
  const published = agent === undefined || fresh ? undefined : publishedBy(parts, agent);
  if (published !== undefined) return published;
  const names = agent === undefined ? undefined : [agent];
  return await readOrLastKnown(
    parts,
    agent,
    async () => await (fresh ? parts.freshLists.models(names) : parts.courier.listModels(names, { signal })),
    (views, unavailable) => {
      const held = views.map((view) => ({ agent: view.agent, models: view.state?.models ?? [] }));
      return { models: mergeModels(held), unavailable };
    },
    lastKnown,
  );
}
