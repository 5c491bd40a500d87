// Reads the state documents of several transports as those of one, and notes where each agent is.
import { asCourierError } from "../../base/errors.ts";
import { compareTexts } from "../../base/order.ts";
import type { StateRecord } from "../../transport.ts";
import { type Choice, choose, type KnownKeys, type Placed } from "./choice.ts";
import type { Member } from "./member.ts";

export class States {
  readonly #members: readonly Member[];
  readonly #keys: KnownKeys;
  readonly #homes = new Map<string, Member>();
  /** Those whose documents were read before. */
  readonly #readBefore = new Set<Member>();

  constructor(members: readonly Member[], keys: KnownKeys) {
    this.#members = members;
    this.#keys = keys;
  }

  /** Where an agent's document was when it was last read; undefined: it was never read, or is gone. */
  home(agent: string): Member | undefined {
    return this.#homes.get(agent);
  }

  setHome(agent: string, member: Member | null): void {
    if (member === null) this.#homes.delete(agent);
    else this.#homes.set(agent, member);
  }

  /**
   * The document that counts, and the others under its name.
   * @param on the transports to look at; by default all
   * @returns null when none of them has one
   * @throws CourierError `unavailable`
   */
  async find(agent: string, on?: { has(member: Member): boolean }): Promise<Choice | null> {
    const members = this.#members.filter((member) => on?.has(member) !== false);
    const looks = members.map(async (member) => ({ member, record: await member.transport.readState(agent) }));
    const results = await Promise.allSettled(looks);
    const found = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const placed = found.flatMap(({ member, record }) => (record === null ? [] : [{ member, record }]));
    const [first, ...rest] = placed;
    // It may be on a transport that cannot be read now.
    if (first === undefined) for (const result of results) if (result.status === "rejected") throw result.reason;
    return first === undefined ? null : choose(agent, [first, ...rest], this.#keys);
  }

  async read(agent: string): Promise<StateRecord | null> {
    const choice = await this.find(agent);
    this.setHome(agent, choice?.used.member ?? null);
    return choice?.used.record ?? null;
  }

  /** Every agent's document, in order of names. @throws CourierError as `choices()` */
  async readAll(): Promise<readonly StateRecord[]> {
    const choices = await this.choices();
    return [...choices.values()].map(({ used }) => used.record).toSorted((a, b) => compareTexts(a.agent, b.agent));
  }

  /**
   * What all transports have that can be read. One that cannot, and that this handle has read before, may be back soon: its agents do
   * not disappear meanwhile, but the reading fails.
   * @throws CourierError `unavailable`
   */
  async choices(): Promise<ReadonlyMap<string, Choice>> {
    const placed = new Map<string, [Placed, ...Placed[]]>();
    for (const { member, record } of await this.#readEach()) {
      const others = placed.get(record.agent);
      if (others === undefined) placed.set(record.agent, [{ member, record }]);
      else others.push({ member, record });
    }
    const choices = new Map([...placed].map(([agent, each]) => [agent, choose(agent, each, this.#keys)]));
    for (const agent of this.#homes.keys()) if (!choices.has(agent)) this.#homes.delete(agent);
    for (const [agent, { used }] of choices) this.#homes.set(agent, used.member);
    return choices;
  }

  async #readEach(): Promise<readonly Placed[]> {
    const results = await Promise.allSettled(
      this.#members.map(async (member) => ({ member, records: await member.transport.readStates() })),
    );
    const isOneRead = results.some(({ status }) => status === "fulfilled");
    const placed: Placed[] = [];
    for (const [index, result] of results.entries()) {
      const member = this.#members[index];
      if (result.status === "fulfilled") {
        const { records } = result.value;
        this.#readBefore.add(result.value.member);
        for (const record of records) placed.push({ member: result.value.member, record });
      } else if (!isOneRead || (member !== undefined && this.#readBefore.has(member))) {
        throw asCourierError(result.reason);
      }
    }
    return placed;
  }
}
