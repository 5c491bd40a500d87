// One property: any sequence of steps ends the same on a transport as on memory, the reference.
import { expect } from "bun:test";
import * as fc from "fast-check";
import { CourierError } from "#src/base/errors.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { Closable, Delivery, Inbox, ReplyAddress, Transport } from "#src/transport.ts";
import { until } from "#tests/support/until.ts";
import { FAST } from "./addresses.ts";

const OWN_INBOXES: readonly Inbox[] = [{ agent: "gpu-1" }, { agent: "gpu-2" }];
const OWN_ADDRESSES: readonly ReplyAddress[] = [{ replyTo: "ctl-1" }, { replyTo: "ctl-2" }];
const IDS = ["a", "b", "list_models_1"];
/** Sorts behind the other ids: all files before it are delivered before it. */
const MARKER = "zz-marker";

const id = fc.constantFrom(...IDS);
const agent = fc.constantFrom("gpu-1", "gpu-2", "gpu");

/** @param shared whether there is a shared inbox, and with it claims */
function stepOf(shared: readonly "shared"[]) {
  const inbox = fc.constantFrom<Inbox>(...shared, ...OWN_INBOXES);
  const address = fc.constantFrom<ReplyAddress>(...shared, ...OWN_ADDRESSES);
  return fc.oneof(
    fc.record({ is: fc.constant("openInbox" as const), inbox }),
    fc.record({ is: fc.constant("send" as const), inbox, id, durable: fc.boolean() }),
    fc.record({ is: fc.constant("withdraw" as const), inbox, id }),
    fc.record({ is: fc.constantFrom("isUnchanged" as const, "release" as const), inbox, id }),
    ...shared.map(() =>
      fc.record({ is: fc.constant("claim" as const), inbox, id, instance: fc.constantFrom("x", "y") }),
    ),
    fc.record({ is: fc.constantFrom("openReplies" as const, "closeReplies" as const), address }),
    fc.record({
      is: fc.constantFrom("respond" as const, "releaseReply" as const, "isAnswered" as const),
      address,
      id,
    }),
    fc.record({ is: fc.constantFrom("publishState" as const, "readState" as const), agent }),
  );
}
type Step = ReturnType<typeof stepOf> extends fc.Arbitrary<infer Value> ? Value : never;

/** One transport under the steps, and everything that it delivered. */
class Side {
  readonly heard: string[] = [];
  readonly #transport: Transport;
  readonly #shared: readonly "shared"[];
  /** By inbox and id: what `release` and `claim` are called with. */
  readonly #latest = new Map<string, Delivery>();
  readonly #receiving = new Set<string>();
  readonly #replies = new Map<string, Closable>();
  #texts = 0;

  constructor(transport: Transport, shared: readonly "shared"[]) {
    this.#transport = transport;
    this.#shared = shared;
  }

  async start(): Promise<void> {
    await this.#transport.connect();
    for (const each of this.#shared) await this.#receive(each);
  }

  /** What the step came to; an error as its code. */
  async take(next: Step): Promise<unknown> {
    try {
      return (await this.#take(next)) ?? "done";
    } catch (error) {
      if (error instanceof CourierError) return error.code;
      throw error;
    }
  }

  /** The rest at the end, withdrawn. */
  async remains(): Promise<unknown> {
    const lying: boolean[] = [];
    for (const at of [...this.#shared, ...OWN_INBOXES])
      for (const known of IDS) lying.push(await this.#transport.withdraw(at, known));
    for (const at of [...this.#shared, ...OWN_ADDRESSES])
      for (const known of IDS) lying.push(await this.#isAnswered(at, known));
    const states = await this.#transport.readStates();
    return { lying, states: states.map((record) => [record.agent, record.content]) };
  }

  async #take(next: Step): Promise<unknown> {
    if ("agent" in next) return await this.#takeState(next);
    if ("address" in next) return await this.#takeReply(next);
    const { inbox: at, is } = next;
    if (is === "openInbox") return await this.#openInbox(at);
    if (is === "withdraw") return await this.#transport.withdraw(at, next.id);
    if (is === "send") return await this.#send(at, next.id, next.durable);
    const delivery = this.#latest.get(`${nameOf(at)} ${next.id}`);
    if (delivery === undefined) return "never delivered";
    if (is === "claim") return await this.#transport.claim(delivery, { agent: "gpu-1", instance: next.instance });
    return is === "release" ? await this.#transport.release(delivery) : await this.#transport.isUnchanged(delivery);
  }

  async #takeState({ is, agent: of }: Extract<Step, { agent: string }>): Promise<unknown> {
    if (is === "publishState") return await this.#transport.publishState(of, this.#newText());
    return (await this.#transport.readState(of))?.content;
  }

  async #takeReply(next: Extract<Step, { address: ReplyAddress }>): Promise<unknown> {
    const { address: at } = next;
    if (next.is === "respond") return await this.#respond(at, next.id, this.#newText());
    if (next.is === "releaseReply") return await this.#transport.releaseReply(at, next.id);
    if (next.is === "isAnswered") return await this.#isAnswered(at, next.id);
    if (next.is === "openReplies") return await this.#openReplies(at);
    await this.#replies.get(nameOf(at))?.close();
    return this.#replies.delete(nameOf(at));
  }

  async #openInbox(at: Inbox): Promise<string> {
    await this.#transport.openInbox(at);
    return await this.#receive(at);
  }

  async #send(at: Inbox, sent: string, durable: boolean): Promise<void> {
    const text = this.#newText();
    await this.#transport.send(at, sent, text, { durable });
    await this.#hears(this.#receiving.has(nameOf(at)), `command ${sent} ${text}`);
  }

  #newText(): string {
    return `{"n":${this.#texts++}}`;
  }

  async #receive(at: Inbox): Promise<string> {
    if (this.#receiving.has(nameOf(at))) return "open already";
    this.#receiving.add(nameOf(at));
    await this.#transport.receive(at, {
      deliver: (delivery) => {
        this.#latest.set(`${nameOf(at)} ${delivery.id}`, delivery);
        this.#hear("command", delivery.id, delivery.content);
      },
    });
    return "opened";
  }

  async #openReplies(at: ReplyAddress): Promise<string> {
    if (this.#replies.has(nameOf(at))) return "open already";
    const replies = await this.#transport.openReplies(
      at,
      () => true,
      (reply) => {
        this.#hear("reply", reply.id, reply.content);
        return true;
      },
    );
    this.#replies.set(nameOf(at), replies);
    // Every file is delivered before the next step changes it.
    await this.#respond(at, MARKER, this.#newText());
    await this.#transport.releaseReply(at, MARKER);
    return "opened";
  }

  async #respond(at: ReplyAddress, answered: string, text: string): Promise<boolean> {
    const isPublished = await this.#transport.respond(at, answered, text, FAST);
    await this.#hears(isPublished && this.#replies.has(nameOf(at)), `reply ${answered} ${text}`);
    return isPublished;
  }

  async #isAnswered(at: ReplyAddress, answered: string): Promise<boolean> {
    return (await this.#transport.respondedAtMs(at, answered)) !== null;
  }

  #hear(what: string, heard: string, content: Delivery["content"]): void {
    this.heard.push(`${what} ${heard} ${"text" in content ? content.text : `refused: ${content.refused}`}`);
  }

  async #hears(isExpected: boolean, line: string): Promise<void> {
    if (isExpected) await until(() => this.heard.includes(line));
  }
}

function nameOf(at: Inbox | ReplyAddress): string {
  return JSON.stringify(at);
}

/** A store with nothing in it. */
export interface Subject {
  /** Not connected. */
  readonly handle: Transport;
  remove(): Promise<void>;
}

export interface Likeness {
  readonly open: () => Subject;
  readonly hasSharedInbox: boolean;
  /** How many sequences are tried. */
  readonly runs: number;
}

/** A failure prints the seed and the shortest sequence: pass them to `fc.assert` to see it again. */
export async function expectLikeMemory({ open, hasSharedInbox, runs }: Likeness): Promise<void> {
  const shared = hasSharedInbox ? (["shared"] as const) : [];
  const agree = fc.asyncProperty(fc.array(stepOf(shared), { maxLength: 25, size: "max" }), async (sequence) => {
    const subject = open();
    const memory = new MemoryStore().open();
    const [tested, reference] = [new Side(subject.handle, shared), new Side(memory, shared)];
    try {
      await tested.start();
      await reference.start();
      for (const next of sequence) expect([next, await tested.take(next)]).toEqual([next, await reference.take(next)]);
      expect(await tested.remains()).toEqual(await reference.remains());
      expect(tested.heard.toSorted()).toEqual(reference.heard.toSorted());
    } finally {
      await subject.handle.close();
      await memory.close();
      await subject.remove();
    }
  });
  await fc.assert(agree, { numRuns: runs });
}
