// One list of the fleet, with its version and the agents that it does not include.

import { compareTexts } from "../../base/order.ts";
import type { Unavailable } from "../unavailable.ts";
import { AgentItems, reuse } from "./agent_items.ts";
import type { Part } from "./contribution.ts";

export interface FleetList<Item> {
  /** Another number after each change. */
  readonly version: number;
  /** In order. Valid until the next change. */
  readonly items: readonly Item[];
  /** The agents whose items are missing or may be old, in order of names. */
  readonly away: readonly Unavailable[];
  /** The agents whose documents do not hold all their items. They are in neither `items` nor `away`: ask them. */
  readonly cut: ReadonlySet<string>;
  /** How many agents the list has all items of. */
  readonly present: number;
}

export class ChangingList<Item> implements FleetList<Item> {
  readonly cut = new Set<string>();
  readonly #away = new AgentItems<Unavailable>((a, b) => compareTexts(a.agent, b.agent));
  readonly #items: () => readonly Item[];
  #present = 0;
  #version = 0;

  constructor(items: () => readonly Item[]) {
    this.#items = items;
  }

  get version(): number {
    return this.#version;
  }

  get items(): readonly Item[] {
    return this.#items();
  }

  get away(): readonly Unavailable[] {
    return this.#away.items;
  }

  get present(): number {
    return this.#present;
  }

  /**
   * @param wasPresent `isPresent` of the agent's part before
   * @param hasChanged whether the agent's items have
   */
  update(
    agent: string,
    { away, isCut, isPresent }: Omit<Part<Item>, "items">,
    { wasPresent, hasChanged }: { readonly wasPresent: boolean; readonly hasChanged: boolean },
  ): void {
    this.#present += Number(isPresent) - Number(wasPresent);
    const wasCut = this.cut.has(agent);
    if (isCut) this.cut.add(agent);
    else this.cut.delete(agent);
    const entries = reuse(this.#away.of(agent), away === null ? [] : [away], ({ reason }) => reason);
    if (this.#away.replace(agent, entries) || hasChanged || wasCut !== isCut) this.#version += 1;
  }
}
