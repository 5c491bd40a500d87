// The conformance suite on a real nats-server, one for each store.
import { connect, headers } from "@nats-io/transport-node";
import { systemClock } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { NatsTransport } from "#src/transport/nats/driver.ts";
import { KEYS, Layout } from "#src/transport/nats/layout.ts";
import { parseNatsAddress } from "#src/transport/nats/options.ts";
import type { Transport } from "#src/transport.ts";
import { NatsServer } from "#tests/support/nats/nats_server.ts";
import { until } from "#tests/support/until.ts";
import type { Store } from "#tests/transport/conformance/scenario.ts";
import { describeTransport } from "#tests/transport/conformance/suite.ts";

describeTransport("nats", {
  openStore: async () => new NatsStore(await NatsServer.start()),
  lacks: {
    "shared inbox": "programs of version 1, which alone use it, have no client of NATS",
    aging: "the server removes what is over by itself, and its clock cannot be set",
  },
  cannot: {},
});

class NatsStore implements Store {
  readonly #server: NatsServer;
  readonly #handles: Transport[] = [];

  constructor(server: NatsServer) {
    this.#server = server;
  }

  handle(): Transport {
    const options = { identity: "gpu-9", clock: systemClock, log: silentLog };
    const handle = new NatsTransport(parseNatsAddress(this.#server.url), options);
    this.#handles.push(handle);
    return handle;
  }

  async interrupt(): Promise<void> {
    await this.#server.kill();
  }

  /** Resolves once each handle that was connected has come back by itself. */
  async restore(): Promise<void> {
    await this.#server.restart();
    for (const handle of this.#handles) await until(async () => await isBack(handle));
  }

  async writeState(agent: string, text: string): Promise<void> {
    await this.#publish(agent, text);
  }

  async removeState(agent: string): Promise<void> {
    await this.#publish(agent, "", { "KV-Operation": "PURGE" });
  }

  async age(): Promise<void> {
    throw new Error("Cannot make entries of NATS older");
  }

  async remove(): Promise<void> {
    await this.#server.stop();
  }

  /** As another client does. */
  async #publish(agent: string, text: string, withHeaders: Readonly<Record<string, string>> = {}): Promise<void> {
    const nats = await connect({ servers: this.#server.url });
    const all = headers();
    for (const [name, value] of Object.entries(withHeaders)) all.set(name, value);
    await nats.request(new Layout().subject("states", KEYS.state(agent)), text, { headers: all, timeout: 5_000 });
    await nats.close();
  }
}

/** Also when it was never connected, or is closed. */
async function isBack(handle: Transport): Promise<boolean> {
  try {
    await handle.readRoster();
    return true;
  } catch (error) {
    return error instanceof CourierError && error.message.includes("is not connected");
  }
}
