// The models as the platform's routes list them, one entry per name.
import type { Context } from "hono";
import { newestPerName } from "../../courier/models.ts";
import type { Model } from "../../protocol.ts";
import type { Env } from "../http/env.ts";
import type { Services } from "../services.ts";
import { isFresh, namedAgents } from "./addressing.ts";

type Parts = Pick<Services, "courier" | "connection" | "fleet" | "freshLists">;

/** Reads the list, and makes the one of all agents that a caller sees again only when something in it has changed. */
export class PlatformModels {
  readonly #last = new WeakMap<Parts["fleet"], { readonly version: number; readonly text: string }>();

  /**
   * The entries as a JSON array: of `?agent=`, else of all; `?fresh=true` asks the agents.
   * @throws CourierError `unavailable` when no agent could answer; `not_found`; `invalid`
   */
  async read(context: Context<Env>, { courier, connection, fleet, freshLists }: Parts): Promise<string> {
    connection.requireOpen();
    const names = namedAgents(context);
    if (isFresh(context)) return textOf((await freshLists.models(names)).models);
    await fleet.looked();
    const { models } = fleet.index;
    if (names !== undefined || !fleet.index.holdsAll(models))
      return textOf((await courier.listModels(names, { signal: context.req.raw.signal })).models);
    const last = this.#last.get(fleet);
    if (last?.version === models.version) return last.text;
    const text = textOf(models.items);
    this.#last.set(fleet, { version: models.version, text });
    return text;
  }
}

function textOf(models: readonly Model[]): string {
  return JSON.stringify(newestPerName(models));
}
