// The models as the platform's routes list them, one entry per name.
import type { Context } from "hono";
import { newestPerName } from "../../courier/models.ts";
import type { Model } from "../../protocol.ts";
import type { Env } from "../http/env.ts";
import type { Services } from "../services.ts";
import { isFresh, namedAgents } from "./addressing.ts";

/** Reads the list, and makes the one of the whole fleet again only when something in it has changed. */
export class PlatformModels {
  readonly #services: Pick<Services, "courier" | "connection" | "fleet" | "freshLists">;
  #last: { readonly version: number; readonly text: string } | undefined;

  constructor(services: Pick<Services, "courier" | "connection" | "fleet" | "freshLists">) {
    this.#services = services;
  }

  /**
   * The entries as a JSON array: of `?agent=`, else of all; `?fresh=true` asks the agents.
   * @throws CourierError `unavailable` when no agent could answer; `not_found`; `invalid`
   */
  async read(context: Context<Env>): Promise<string> {
    const { courier, connection, fleet, freshLists } = this.#services;
    connection.requireOpen();
    const names = namedAgents(context);
    if (isFresh(context)) return textOf((await freshLists.models(names)).models);
    await fleet.looked();
    const { models } = fleet.index;
    if (names !== undefined || !fleet.index.holdsAll(models))
      return textOf((await courier.listModels(names, { signal: context.req.raw.signal })).models);
    if (this.#last?.version !== models.version) this.#last = { version: models.version, text: textOf(models.items) };
    return this.#last.text;
  }
}

function textOf(models: readonly Model[]): string {
  return JSON.stringify(newestPerName(models));
}
