// The addresses for replies on several transports: each is in use on a transport before a command goes there.
import { asCourierError } from "../../base/errors.ts";
import type { Closable, Reply, ReplyAddress } from "../../transport.ts";
import type { Member } from "./member.ts";

interface Address {
  readonly address: ReplyAddress;
  readonly wanted: (id: string) => boolean;
  readonly accept: (reply: Reply) => boolean;
  readonly at: Map<Member, Promise<Closable>>;
}

export class ReplyAddresses {
  readonly #members: readonly Member[];
  readonly #addresses = new Set<Address>();

  constructor(members: readonly Member[]) {
    this.#members = members;
  }

  /** Takes it into use on each transport that can be reached now. @throws CourierError when no transport can */
  async open(
    address: ReplyAddress,
    wanted: (id: string) => boolean,
    accept: (reply: Reply) => boolean,
  ): Promise<Closable> {
    const opened: Address = { address, wanted, accept, at: new Map() };
    const results = await Promise.allSettled(this.#members.map(async (member) => await openAt(member, opened)));
    const [first] = results;
    if (first?.status === "rejected" && results.every(({ status }) => status === "rejected"))
      throw asCourierError(first.reason);
    this.#addresses.add(opened);
    return { close: async () => await this.#close(opened) };
  }

  /** Takes every address into use on this transport, which may have been away before. @throws CourierError */
  async openAt(member: Member): Promise<void> {
    await Promise.all([...this.#addresses].map(async (opened) => await openAt(member, opened)));
  }

  async #close(opened: Address): Promise<void> {
    this.#addresses.delete(opened);
    const closing = [...opened.at.values()].map(async (opening) => await (await opening.catch(() => null))?.close());
    opened.at.clear();
    await Promise.all(closing);
  }
}

async function openAt(member: Member, { address, wanted, accept, at }: Address): Promise<void> {
  const opening = at.get(member) ?? member.transport.openReplies(address, wanted, accept);
  at.set(member, opening);
  try {
    await opening;
  } catch (error) {
    if (at.get(member) === opening) at.delete(member);
    throw error;
  }
}
