// Simulated agents that share one connection to NATS. On the wire each does what a real agent does: its inbox and its document,
// heartbeats, its presence, a look into its inbox now and then, and one after each interruption.
import { generateKeyPairSync } from "node:crypto";
import { connect, headers, type NatsConnection } from "@nats-io/transport-node";
import type { FleetBox } from "#sim/fleet/box.ts";
import { KEYS, type Layout } from "#src/transport/nats/layout.ts";
import { rawKey, type SigningKey, signingKey } from "#src/trust/keys.ts";
import { signDocument } from "#src/trust/signature.ts";

/** Requests of one connection under way at a time. */
const WINDOW = 32;
const REQUEST_MS = 30_000;
const RETRY_MS = 1_000;
/** As the agent's connection has them. */
const RECONNECT = { reconnect: true, maxReconnectAttempts: -1, reconnectTimeWait: 250, reconnectJitter: 750 };
const PRESENCE_TTL = "60s";

/** One simulated agent. */
export interface Member {
  readonly crowd: Crowd;
  readonly box: FleetBox;
  readonly key: SigningKey | null;
  sequence: number;
}

interface Watcher {
  /** The connection is lost. */
  lost(): void;
  /** It is back, and each of its agents has seen its inbox again. */
  served(): void;
}

interface CrowdOptions {
  readonly layout: Layout;
  readonly boxes: readonly FleetBox[];
  readonly isSigned: boolean;
  readonly watcher: Watcher;
}

export class Crowd {
  readonly members: readonly Member[];
  readonly #nats: NatsConnection;
  readonly #layout: Layout;
  /** Where acknowledgements go that nobody waits for. */
  readonly #sink: string;
  #isUp = true;

  private constructor(nats: NatsConnection, layout: Layout, boxes: readonly FleetBox[], isSigned: boolean) {
    this.#nats = nats;
    this.#layout = layout;
    this.#sink = `_INBOX_crowd.${crypto.randomUUID()}`;
    nats.subscribe(this.#sink, { callback: () => undefined });
    this.members = boxes.map((box) => ({
      crowd: this,
      box,
      key: isSigned ? signingKey(generateKeyPairSync("ed25519").privateKey) : null,
      sequence: 0,
    }));
    for (const { box } of this.members) nats.subscribe(layout.wake(box.agent), { callback: () => undefined });
  }

  static async open(url: string, { layout, boxes, isSigned, watcher }: CrowdOptions): Promise<Crowd> {
    const crowd = new Crowd(await connect({ servers: url, ...RECONNECT }), layout, boxes, isSigned);
    void crowd.#follow(watcher);
    return crowd;
  }

  /** Stores the inbox and the first document of each, and waits until all are stored. */
  async begin(): Promise<void> {
    await this.#forEach(async ({ box }) => {
      await this.#request(this.#layout.subject("commands", KEYS.inbox(box.agent)), "[]");
    });
    await this.#forEach(async (member) => {
      await this.#request(this.#layout.subject("states", KEYS.state(member.box.agent)), documentOf(member));
      this.show(member);
    });
  }

  /** Publishes the next document of one agent. */
  publish(member: Member): void {
    const subject = this.#layout.subject("states", KEYS.state(member.box.agent));
    this.#send(() => this.#nats.publish(subject, documentOf(member), { reply: this.#sink }));
  }

  heartbeat({ box, sequence }: Member): void {
    this.#send(() => this.#nats.publish(this.#layout.heartbeat(box.agent), String(sequence)));
  }

  /** Shows that the agent is there to programs that read once. */
  show({ box }: Member): void {
    const subject = this.#layout.subject("presence", KEYS.agent(box.agent));
    const ttl = headers();
    ttl.set("Nats-TTL", PRESENCE_TTL);
    this.#send(() => this.#nats.publish(subject, undefined, { headers: ttl, reply: this.#sink }));
  }

  /** Looks into the agent's inbox, and waits for no answer. */
  look({ box }: Member): void {
    const subject = this.#layout.getSubject("commands", KEYS.inbox(box.agent));
    this.#send(() => this.#nats.publish(subject, undefined, { reply: this.#sink }));
  }

  async close(): Promise<void> {
    await this.#nats.close();
  }

  async #follow(watcher: Watcher): Promise<void> {
    for await (const { type } of this.#nats.status()) {
      if (type === "disconnect") {
        this.#isUp = false;
        watcher.lost();
      }
      if (type !== "reconnect") continue;
      this.#isUp = true;
      await this.#forEach(async (member) => {
        await this.#lookNow(member);
        this.show(member);
        this.heartbeat(member);
      });
      watcher.served();
    }
  }

  async #lookNow({ box }: Member): Promise<void> {
    const subject = this.#layout.getSubject("commands", KEYS.inbox(box.agent));
    for (;;) {
      const answer = await this.#nats.request(subject, undefined, { timeout: REQUEST_MS }).catch(() => null);
      if (answer !== null && answer.data.byteLength > 0) return;
      await Bun.sleep(RETRY_MS);
    }
  }

  async #request(subject: string, text: string): Promise<void> {
    const answer = await this.#nats.request(subject, text, { timeout: REQUEST_MS });
    if (!answer.string().includes('"seq"')) throw new Error(`Not stored: ${answer.string().slice(0, 200)}`);
  }

  async #forEach(run: (member: Member) => Promise<void>): Promise<void> {
    const left = this.members.values();
    const lane = async (): Promise<void> => {
      for (const member of left) await run(member);
    };
    await Promise.all(Array.from({ length: WINDOW }, lane));
  }

  /** While it is not connected an agent sends nothing, and keeps nothing for later. */
  #send(publish: () => void): void {
    if (this.#isUp && !this.#nats.isClosed()) publish();
  }
}

function documentOf(member: Member): string {
  const { box, key } = member;
  const nowMs = Date.now();
  const state = box.next(nowMs);
  member.sequence = state.sequence;
  if (key === null) return JSON.stringify(state);
  const signing = { key: rawKey(key), boot: 1, published_at_ms: nowMs };
  return signDocument("state", JSON.stringify({ ...state, ...signing }), key);
}
