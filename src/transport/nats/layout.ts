// Where things are on NATS: the names of the buckets, and the subjects of their keys. No I/O.
//
// A bucket is a JetStream stream, named as the key-value stores of NATS are, so that `nats kv` shows it. Each subject has the
// name of the one agent that may use it as a token of its own, so that plain permissions confine an agent to its own entries:
// permissions.ts has the list.

export const DEFAULT_PREFIX = "gpu_courier";

/** What a prefix may be: a part of the names of streams and subjects. */
export const PREFIX = /^[a-z][a-z0-9_]{0,31}$/;

type TransportBucket = "commands" | "responses" | "states" | "presence";
/** `server` is what several gpu-servers share: they alone make and use it. */
export type BucketName = TransportBucket | "server";
export const BUCKETS: readonly TransportBucket[] = ["commands", "responses", "states", "presence"];

export class Layout {
  readonly prefix: string;

  constructor(prefix: string = DEFAULT_PREFIX) {
    this.prefix = prefix;
  }

  /** The stream that holds a bucket. */
  stream(bucket: BucketName): string {
    return `KV_${this.prefix}_${bucket}`;
  }

  /** The subject of a key; `*` and `>` as NATS has them. */
  subject(bucket: BucketName, key: string): string {
    return `$KV.${this.prefix}_${bucket}.${key}`;
  }

  /** Where to ask for the last entry of a key: the key is in the subject, so that permissions hold. */
  getSubject(bucket: BucketName, key: string): string {
    return `$JS.API.DIRECT.GET.${this.stream(bucket)}.${this.subject(bucket, key)}`;
  }

  /** Says "there is a command": the agent fetches it. */
  wake(agent: string): string {
    return `${this.prefix}.wake.${agent}`;
  }

  heartbeat(agent: string): string {
    return `${this.prefix}.heartbeat.${agent}`;
  }
}

/** The keys in the buckets. */
export const KEYS = {
  /** In `commands`: which commands wait there. It exists from the agent's first start on. */
  inbox: (agent: string): string => agent,
  /** In `commands`. */
  command: (agent: string, id: string): string => `${agent}.${id}`,
  /** In `responses`. */
  response: (replyTo: string, agent: string, id: string): string => `${replyTo}.${agent}.${id}`,
  /** In `states`. */
  state: (agent: string): string => agent,
  /** In `states`; two tokens, as no agent's key has. */
  roster: "roster.current",
  /**
   * In `responses`, while somebody waits for replies there. It survives a restart of the server, as they do. An agent may read it
   * at every address: a key that ended with the address would let it read every key there, by a `>` in its place.
   */
  sender: (replyTo: string): string => `${replyTo}.sender`,
  /** In `presence`, while the agent is there. That bucket is in memory: it is empty after a restart of the server. */
  agent: (agent: string): string => `agent.${agent}`,
  /** In `states`: the time of its entry is the server's clock. */
  clock: (token: string): string => `clock.${token}`,
} as const;
