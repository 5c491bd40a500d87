// nats-server with its store on a disk, where each put is written through before it is acknowledged: how many a second, and what
// that makes of a command's round trip, beside one on a share on the same disk.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { Courier } from "#src/courier.ts";
import { Bucket } from "#src/transport/nats/calls/bucket.ts";
import { Connection } from "#src/transport/nats/calls/connection.ts";
import { Streams } from "#src/transport/nats/calls/streams.ts";
import { Layout } from "#src/transport/nats/layout.ts";
import { parseNatsAddress } from "#src/transport/nats/options.ts";
import { openTransport } from "#src/transport/open.ts";
import type { Transport } from "#src/transport.ts";
import { NatsServer } from "#tests/support/nats/nats_server.ts";
import { cachedBinary } from "../../binaries.ts";
import { Child } from "../../children.ts";
import { percentile, roundTrips, type Send, throughput } from "../measure.ts";
import type { Measure } from "../report.ts";
import { AGENT, Subject, startOllama } from "../subject.ts";

const DOCUMENT = "x".repeat(2_000);
const KEYS_USED = 1_000;
const PUTS = { alone: 300, together: 2_000, window: 64 };
const TRIPS = 40;
const WARM_UP = 100;

/** @param dir created, not removed */
export async function measureOnDisk(dir: string, rounds: number): Promise<Measure[]> {
  mkdirSync(dir, { recursive: true });
  const nats = await NatsServer.start({ dir: join(dir, "nats") });
  try {
    const agent = await NatsSubject.open(join(dir, "agent"), nats.url);
    try {
      return [...(await measurePuts(nats.url)), ...(await measureBesideShare(dir, agent, rounds))];
    } finally {
      await agent.close();
    }
  } finally {
    await nats.stop();
  }
}

async function measurePuts(url: string): Promise<Measure[]> {
  const connection = new Connection({
    address: parseNatsAddress(url),
    options: {},
    identity: undefined,
    log: silentLog,
  });
  await connection.open();
  const layout = new Layout("bench");
  await new Streams(connection, layout).make(1, ["states"]);
  const bucket = new Bucket(connection, layout, "states");
  let sent = 0;
  const put: Send = async () => await bucket.put(`box-${sent++ % KEYS_USED}`, DOCUMENT);
  const alone = await throughput(put, PUTS.alone, 1);
  const together = await throughput(put, PUTS.together, PUTS.window);
  await connection.close();
  const name = "puts of 2 kB on NATS, each written through to the disk";
  return [
    { name: `${name}, one at a time`, unit: "/s", value: alone },
    { name: `${name}, ${PUTS.window} at a time`, unit: "/s", value: together },
  ];
}

async function measureBesideShare(dir: string, agent: NatsSubject, rounds: number): Promise<Measure[]> {
  const share = await Subject.open(join(dir, "share"), 1);
  const trips: { share: number[]; nats: number[] } = { share: [], nats: [] };
  try {
    for (const { ping } of [share, agent]) await roundTrips(ping, WARM_UP);
    for (let round = 0; round < rounds; round++) {
      trips.share.push(...(await roundTrips(share.ping, TRIPS)));
      trips.nats.push(...(await roundTrips(agent.ping, TRIPS)));
    }
  } finally {
    await share.close();
  }
  return [0.5, 0.99].map((part) => {
    const [value, floor] = [percentile(trips.nats, part), percentile(trips.share, part)];
    const name = `ping round trip on NATS beside one on a share, p${part * 100}`;
    return { name, unit: "ms", value, floor, ratio: value / floor };
  });
}

/** The agent's binary on NATS, and a courier in this process. */
class NatsSubject {
  readonly #children: readonly Child[];
  readonly #transport: Transport;
  readonly #courier: Courier;

  private constructor(children: readonly Child[], transport: Transport, courier: Courier) {
    this.#children = children;
    this.#transport = transport;
    this.#courier = courier;
  }

  static async open(dir: string, url: string): Promise<NatsSubject> {
    mkdirSync(dir, { recursive: true });
    const transport = openTransport(url, { create: "never", watch: "auto", clock: systemClock, log: silentLog });
    // It makes the buckets.
    await transport.connect();
    const ollama = await startOllama(dir);
    const place = ["--transport", url, "--state-dir", join(dir, "state"), "--name", AGENT, "--ollama", ollama.url];
    const agent = new Child([await cachedBinary("gpu-agent"), ...place, "--log-format", "json"], dir);
    await agent.line("Ready");
    const courier = new Courier(transport, { sender: "bench", timeoutMs: 10_000 });
    return new NatsSubject([agent, ollama.child], transport, courier);
  }

  readonly ping: Send = async () => await this.#courier.request(AGENT, { verb: "ping" });

  async close(): Promise<void> {
    await this.#courier.close();
    await this.#transport.close();
    for (const child of this.#children) await child.stop();
  }
}
