// How a scenario listens: records deliveries, and expects failures.
import { expect } from "bun:test";
import type { ErrorCode } from "#src/base/errors.ts";
import type { Closable, Delivery, Inbox, Reply, ReplyAddress, Transport } from "#src/transport.ts";

/** Every call that a subscription received, in order. */
export class Heard implements Closable {
  readonly deliveries: Delivery[] = [];
  readonly interruptions: Error[] = [];
  readonly refused: string[] = [];
  restored = 0;
  /** How many deliveries there were at each `complete()`. */
  readonly completions: number[] = [];
  #subscription: Closable | null = null;

  static async at(transport: Transport, inbox: Inbox): Promise<Heard> {
    const heard = new Heard();
    heard.#subscription = await transport.receive(inbox, {
      deliver: (delivery) => void heard.deliveries.push(delivery),
      refuse: (name, reason) => void heard.refused.push(`${name}: ${reason}`),
      complete: () => void heard.completions.push(heard.deliveries.length),
      interrupted: (error) => void heard.interruptions.push(error),
      restored: () => void heard.restored++,
    });
    return heard;
  }

  get ids(): readonly string[] {
    return this.deliveries.map(({ id }) => id);
  }

  async close(): Promise<void> {
    await this.#subscription?.close();
  }
}

/** Every reply that was delivered at an address. */
export class HeardReplies implements Closable {
  readonly replies: Reply[] = [];
  #subscription: Closable | null = null;

  static async at(
    transport: Transport,
    address: ReplyAddress,
    wanted: (id: string) => boolean = () => true,
  ): Promise<HeardReplies> {
    const heard = new HeardReplies();
    heard.#subscription = await transport.openReplies(address, wanted, (reply) => void heard.replies.push(reply));
    return heard;
  }

  get ids(): readonly string[] {
    return this.replies.map(({ id }) => id);
  }

  async close(): Promise<void> {
    await this.#subscription?.close();
  }
}

/** The action fails with this code. */
export async function expectCode(action: Promise<unknown>, code: ErrorCode): Promise<void> {
  const outcome = await action.then(
    () => "success",
    (error: unknown) => (error instanceof Error && "code" in error ? error.code : error),
  );
  expect(outcome).toBe(code);
}
