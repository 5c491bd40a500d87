// Which agents are asked about a model in its registry, where that is not reached from here: one or two of them for each name.
import { asCourierError } from "../../base/errors.ts";
import type { FleetModel } from "../../courier/fleet_model.ts";
import type { Elsewhere } from "../../program/registry/published.ts";
import type { PublishedModel } from "../../protocol.ts";

/** @throws CourierError as `Courier.publishedModel()` */
export type AskAgent = (
  agent: string,
  model: string,
  options: { readonly timeoutMs: number },
) => Promise<PublishedModel>;

/** The agent asks its registry for 5 s. */
const TIMEOUT_MS = 6_000;
const MOST_ASKED = 2;

/** For one list. An agent that has answered is asked first about the next name, one that could not is not asked again. */
export class AskedAgents implements Elsewhere {
  readonly #holders: ReadonlyMap<string, readonly string[]>;
  readonly #askAgent: AskAgent;
  readonly #able = new Set<string>();
  readonly #unable = new Set<string>();

  constructor(models: readonly FleetModel[], askAgent: AskAgent) {
    const byName = Map.groupBy(models, ({ name }) => name.toLowerCase());
    this.#holders = new Map([...byName].map(([key, of]) => [key, of.flatMap(({ agents }) => agents)]));
    this.#askAgent = askAgent;
  }

  /** Only agents whose models are compared are asked: those that have it, and one that was able to ask about another model. */
  readonly candidates: Elsewhere["candidates"] = (name) => this.#holders.get(name.toLowerCase()) ?? [];

  /** Never rejects. */
  readonly ask: Elsewhere["ask"] = async (name) => {
    const candidates = new Set([...this.#able, ...this.candidates(name)]).difference(this.#unable);
    for (const agent of [...candidates].slice(0, MOST_ASKED)) {
      const found = await this.#askOne(agent, name);
      if (found !== null) return found;
    }
    return null;
  };

  async #askOne(agent: string, name: string): ReturnType<Elsewhere["ask"]> {
    try {
      const found = await this.#askAgent(agent, name, { timeoutMs: TIMEOUT_MS });
      this.#able.add(agent);
      return { digest: found.digest, totalBytes: found.total_bytes, weightsBytes: found.weights_bytes };
    } catch (error) {
      const { code, saidBy } = asCourierError(error);
      // Without the agent's own word it is the agent that is unknown.
      if (code === "not_found" && saidBy !== undefined) return "none";
      // One that does not allow this registry may allow another.
      if (code !== "forbidden") this.#unable.add(agent);
      return null;
    }
  }
}
