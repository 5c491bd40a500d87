// How a scenario listens: records deliveries, and expects failures.
import { expect } from "bun:test";
import type { ErrorCode } from "#src/base/errors.ts";
import type {
  Closable,
  Delivery,
  Inbox,
  Reply,
  ReplyAddress,
  StateRecord,
  StateWatcher,
  Transport,
} from "#src/transport.ts";
import { until } from "#tests/support/until.ts";

/** Every call that a subscription received, in order. */
export class Heard implements Closable {
  readonly deliveries: Delivery[] = [];
  readonly interruptions: Error[] = [];
  readonly refused: string[] = [];
  restored = 0;
  /** How many deliveries it takes. */
  most = Number.POSITIVE_INFINITY;
  /** The last count of those that stay for want of room. */
  waiting = 0;
  /** How many deliveries there were at each `complete()`. */
  readonly completions: number[] = [];
  #subscription: Closable | null = null;

  static async at(transport: Transport, inbox: Inbox, most?: number): Promise<Heard> {
    const heard = new Heard();
    heard.most = most ?? heard.most;
    heard.#subscription = await transport.receive(inbox, {
      deliver: (delivery) => void heard.deliveries.push(delivery),
      hasRoom: () => heard.deliveries.length < heard.most,
      waiting: (count) => {
        heard.waiting = count;
      },
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
    isAccepted: (reply: Reply) => boolean = () => true,
  ): Promise<HeardReplies> {
    const heard = new HeardReplies();
    heard.#subscription = await transport.openReplies(address, wanted, (reply) => {
      heard.replies.push(reply);
      return isAccepted(reply);
    });
    return heard;
  }

  get ids(): readonly string[] {
    return this.replies.map(({ id }) => id);
  }

  async close(): Promise<void> {
    await this.#subscription?.close();
  }
}

/** Every call that a watch of the state documents received. */
export class HeardStates implements StateWatcher, Closable {
  /** The last document of each agent that has one. */
  readonly present = new Map<string, StateRecord>();
  /** `changed gpu-1`, `alive gpu-1 7`, `removed gpu-1`, `synced`, `interrupted`, `restored`, `away gpu-1`, `back gpu-1`, in order. */
  readonly calls: string[] = [];
  readonly syncedAtMs: number[] = [];
  #subscription: Closable | null = null;

  static async at(transport: Transport): Promise<HeardStates> {
    const heard = new HeardStates();
    heard.#subscription = await transport.watchStates(heard);
    return heard;
  }

  changed(record: StateRecord): void {
    this.present.set(record.agent, record);
    this.calls.push(`changed ${record.agent}`);
  }

  alive(agent: string, sequence: number): void {
    this.calls.push(`alive ${agent} ${sequence}`);
  }

  removed(agent: string): void {
    this.present.delete(agent);
    this.calls.push(`removed ${agent}`);
  }

  synced(asOfMs: number): void {
    this.syncedAtMs.push(asOfMs);
    this.calls.push("synced");
  }

  interrupted(): void {
    this.calls.push("interrupted");
  }

  restored(): void {
    this.calls.push("restored");
  }

  away(agent: string, error: Error | null): void {
    this.calls.push(`${error === null ? "back" : "away"} ${agent}`);
  }

  /** The text of an agent's document, or why it is refused; undefined without a document. */
  contentOf(agent: string): string | undefined {
    const content = this.present.get(agent)?.content;
    return content === undefined || "text" in content ? content?.text : content.refused;
  }

  /** Waits until this many more looks at all documents have ended. */
  async afterLooks(times: number): Promise<void> {
    const wanted = this.syncedAtMs.length + times;
    await until(() => this.syncedAtMs.length >= wanted);
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
