// A nats-server with the buckets of gpu-courier, an attacker who has the credentials of agent gpu-1, and what others see of it.

import { type JetStreamManager, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect, type NatsConnection, nkeyAuthenticator } from "@nats-io/transport-node";
import { bucketConfig } from "#src/transport/nats/calls/streams.ts";
import { BUCKETS, KEYS } from "#src/transport/nats/layout.ts";
import { NatsServer } from "#tests/support/nats/nats_server.ts";
import { ADDRESS, ATTACKER, layout, SECRET, UNKNOWN, VICTIM } from "./names.ts";
import { RawClient } from "./raw_client.ts";

/** What the attacker owns: everything else has to stay as it is. */
const OWN = new RegExp(`[._](?:${ATTACKER})(?:\\.|$)`);

export type Role = "server" | "operator" | "store" | "attacker" | "victim";

export interface Options {
  /** The text of the configuration, and of files that it includes. */
  readonly config?: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Of everybody's keys. */
  readonly seeds?: Readonly<Record<Role, Uint8Array>>;
  /** As buckets of NATS's own key-value stores have them. */
  readonly rollups?: boolean;
}

/** How the site is after an attack, as far as it must not change. */
export interface Damage {
  readonly changed: readonly string[];
  readonly heard: readonly string[];
}

export class BreakoutSite {
  readonly #server: NatsServer;
  readonly #options: Options;
  readonly #platform: NatsConnection;
  readonly #manager: JetStreamManager;
  readonly #victim: NatsConnection;
  readonly #heard: string[] = [];
  #before: ReadonlyMap<string, string> = new Map();
  attacker!: RawClient;

  private constructor(
    server: NatsServer,
    options: Options,
    platform: NatsConnection,
    manager: JetStreamManager,
    victim: NatsConnection,
  ) {
    this.#server = server;
    this.#options = options;
    this.#platform = platform;
    this.#manager = manager;
    this.#victim = victim;
  }

  static async open(options: Options): Promise<BreakoutSite> {
    const { config = "", files = {}, seeds } = options;
    const server = await NatsServer.start({ config, files });
    const platform = await connectAs(server.url, seeds?.server);
    const victim = await connectAs(server.url, seeds?.victim, VICTIM);
    const site = new BreakoutSite(server, options, platform, await jetstreamManager(platform), victim);
    site.#listen();
    return site;
  }

  /** Another connection, which the caller closes. */
  async connect(role: Role, inbox?: string): Promise<NatsConnection> {
    return await connectAs(this.#server.url, this.#options.seeds?.[role], inbox);
  }

  /** Everything as it is at first, and the attacker connected. */
  async reset(): Promise<void> {
    this.attacker?.close();
    for await (const { config } of this.#manager.streams.list()) await this.#manager.streams.delete(config.name);
    for (const bucket of BUCKETS) await this.#makeBucket(bucket);
    for (const [bucket, key, text] of ENTRIES) await this.put(bucket, key, text);
    this.attacker = await RawClient.connect(this.#server.port, this.#options.seeds?.attacker);
    this.#before = await this.#look();
    this.#heard.length = 0;
  }

  async put(bucket: (typeof BUCKETS)[number], key: string, text: string): Promise<void> {
    await this.#platform.request(layout.subject(bucket, key), text);
  }

  /** What the others do while somebody listens: a command for the victim, its answer and its state. */
  async traffic(): Promise<void> {
    await this.put("commands", KEYS.command(VICTIM, "later"), `${SECRET} command`);
    this.#platform.publish(layout.wake(VICTIM), `${SECRET} wake`);
    await this.#victim.request(
      layout.subject("responses", KEYS.response(ADDRESS, VICTIM, "later")),
      `${SECRET} response`,
    );
    await this.#victim.request(layout.subject("states", KEYS.state(VICTIM)), `${SECRET} state`);
    this.#victim.publish(layout.heartbeat(VICTIM), `${SECRET} heartbeat`);
    await this.#victim.flush();
  }

  /** What an attack has done to others, once everything that was sent has had its effect. */
  async damage(): Promise<Damage> {
    for (let round = 0; round < 2; round++) {
      await this.attacker.flush();
      for (const bucket of BUCKETS) await this.#info(bucket);
      await this.#platform.flush();
      await this.#victim.flush();
    }
    const after = await this.#look();
    const names = new Set([...this.#before.keys(), ...after.keys()]);
    const changed = [...names].filter((name) => !OWN.test(name) && this.#before.get(name) !== after.get(name));
    return { changed: changed.toSorted(), heard: [...this.#heard] };
  }

  async close(): Promise<void> {
    this.attacker?.close();
    await this.#victim.close();
    await this.#platform.close();
    await this.#server.stop();
  }

  #listen(): void {
    const note =
      (who: string) =>
      (error: Error | null, { subject }: { subject: string }) => {
        if (error === null) this.#heard.push(`${who}: ${subject}`);
      };
    this.#victim.subscribe(`_INBOX_${VICTIM}.>`, { callback: note("victim") });
    this.#victim.subscribe(layout.wake(VICTIM), { callback: note("victim") });
    this.#platform.subscribe(layout.heartbeat("*"), {
      callback: (error, message) => {
        if (!OWN.test(message.subject)) note("server")(error, message);
      },
    });
  }

  /** Streams with their settings and consumers, and entries with their texts, by name. */
  async #look(): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    for await (const { config, state } of this.#manager.streams.list()) {
      found.set(`stream ${config.name}`, JSON.stringify({ ...config, consumers: state.consumer_count }));
      if (!config.name.startsWith("KV_")) continue;
      const { state: full } = await this.#manager.streams.info(config.name, { subjects_filter: ">" });
      for (const subject of Object.keys(full.subjects ?? {})) {
        const entry = await this.#manager.direct.getMessage(config.name, { last_by_subj: subject });
        found.set(subject, entry === null ? "gone" : `${entry.seq} ${entry.string()}`);
      }
    }
    return found;
  }

  async #info(bucket: (typeof BUCKETS)[number]): Promise<void> {
    // A stream that an attack has deleted is damage, which is found by looking.
    await this.#manager.streams.info(layout.stream(bucket)).catch(() => undefined);
  }

  async #makeBucket(bucket: (typeof BUCKETS)[number]): Promise<void> {
    await this.#manager.streams.add({
      ...bucketConfig(layout, bucket, 1),
      storage: StorageType.Memory,
      // The product's buckets refuse it to everybody: here permissions alone have to stop an attack.
      deny_delete: false,
      allow_rollup_hdrs: this.#options.rollups === true,
    });
  }
}

async function connectAs(servers: string, seed: Uint8Array | undefined, inbox?: string): Promise<NatsConnection> {
  return await connect({
    servers,
    ...(inbox === undefined ? {} : { inboxPrefix: `_INBOX_${inbox}` }),
    ...(seed === undefined ? {} : { authenticator: nkeyAuthenticator(seed) }),
  });
}

const ENTRIES = [
  ["states", KEYS.roster, "roster"],
  ["states", KEYS.state(ATTACKER), "own state"],
  ["states", KEYS.state(VICTIM), `${SECRET} state`],
  ["states", KEYS.state(UNKNOWN), `${SECRET} state`],
  ["commands", KEYS.inbox(ATTACKER), '["own"]'],
  ["commands", KEYS.command(ATTACKER, "own"), "own command"],
  ["commands", KEYS.inbox(VICTIM), `${SECRET} list`],
  ["commands", KEYS.command(VICTIM, "theirs"), `${SECRET} command`],
  ["commands", KEYS.inbox(UNKNOWN), `${SECRET} list`],
  ["responses", KEYS.sender(ADDRESS), ""],
  ["responses", KEYS.response(ADDRESS, VICTIM, "theirs"), `${SECRET} response`],
  ["responses", KEYS.response(ADDRESS, UNKNOWN, "theirs"), `${SECRET} response`],
  ["presence", KEYS.agent(ATTACKER), ""],
  ["presence", KEYS.agent(VICTIM), `${SECRET} presence`],
  ["states", KEYS.clock(VICTIM), `${SECRET} clock`],
] as const;
