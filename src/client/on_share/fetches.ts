// The fetches into the mirror that agents run, on the share: their states show them, and commands start and end them.
import { instantMs } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import type { Courier } from "../../courier.ts";
import { agentFetchDocument, fetchesInStates } from "../../documents/models/agent_fetches.ts";
import type { FetchDocument, FetchesDocument } from "../../documents/models/mirror.ts";
import type { FleetCourier } from "../fleet_courier.ts";

type Fetches = FleetCourier["fetches"];

export class FetchesOnShare implements Fetches {
  readonly #courier: Pick<Courier, "agents" | "fetchModel" | "cancelFetch">;

  constructor(courier: Pick<Courier, "agents" | "fetchModel" | "cancelFetch">) {
    this.#courier = courier;
  }

  async list(): Promise<FetchesDocument> {
    const fetches = fetchesInStates(await this.#courier.agents());
    return { fetches: fetches.toSorted((a, b) => createdMs(b) - createdMs(a)) };
  }

  async start(model: string, agent: string | undefined): Promise<FetchDocument> {
    if (agent === undefined) throw new CourierError("invalid", "No agent is named", { hint: "--agent NAME" });
    return agentFetchDocument(agent, await this.#courier.fetchModel(agent, model));
  }

  async find(id: string): Promise<FetchDocument> {
    const found = fetchesInStates(await this.#courier.agents()).find((fetch) => fetch.id === id);
    if (found !== undefined) return found;
    throw new CourierError("not_found", `No fetch with the id ${JSON.stringify(id)}`, {
      hint: "gpuctl mirror fetches",
    });
  }

  async cancel(id: string): Promise<FetchDocument> {
    const { agent } = await this.find(id);
    const name = agent ?? "";
    return agentFetchDocument(name, await this.#courier.cancelFetch(name, id));
  }
}

function createdMs({ created_at }: FetchDocument): number {
  return instantMs(created_at ?? "");
}
