// The stores of gpu-servers that share one nats-server, in this process.
import { rmSync } from "node:fs";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { SharedStore } from "#src/server/store/shared/shared_store.ts";
import { openStore } from "#src/server/store/store.ts";
import { parseNatsAddress } from "#src/transport/nats/options.ts";
import { memoryDir } from "#tests/support/memory_dir.ts";
import { NatsServer } from "#tests/support/nats/nats_server.ts";

/** NATS counts whole seconds. */
const LEASE = { ttlMs: 2_000, renewMs: 400, lookMs: 50, marginMs: 500 };

export interface OpenedSharedStore {
  readonly store: SharedStore;
  readonly stop: () => Promise<void>;
}

export class SharedStores {
  readonly nats: NatsServer;
  /** The state directories of two servers. */
  readonly dirs: readonly [string, string];
  readonly #open = new Set<() => Promise<void>>();

  static async open(): Promise<SharedStores> {
    return new SharedStores(await NatsServer.start());
  }

  private constructor(nats: NatsServer) {
    this.nats = nats;
    this.dirs = [memoryDir("gpu-courier-shared-"), memoryDir("gpu-courier-shared-")];
  }

  /** As a server has it while it runs. */
  async server(dir: string): Promise<OpenedSharedStore> {
    const { store, close } = this.#openOn(dir);
    const ended = new AbortController();
    await store.open();
    const running = store.run(ended.signal);
    const stop = async (): Promise<void> => {
      this.#open.delete(stop);
      ended.abort();
      await running;
      await close();
    };
    this.#open.add(stop);
    return { store, stop };
  }

  /** As a command has it, also beside a server. */
  async command(dir: string): Promise<OpenedSharedStore> {
    const { store, close: stop } = this.#openOn(dir);
    await store.openRecords();
    return { store, stop };
  }

  async close(): Promise<void> {
    for (const stop of this.#open) await stop();
    await this.nats.stop();
    for (const dir of this.dirs) rmSync(dir, { recursive: true, force: true });
  }

  #openOn(dir: string) {
    const database = openStore(dir);
    const address = parseNatsAddress(this.nats.url);
    const store = new SharedStore({
      address,
      options: {},
      database,
      clock: systemClock,
      log: silentLog,
      leaseTimes: LEASE,
    });
    const close = async (): Promise<void> => {
      await store.close();
      database.close();
    };
    return { store, close };
  }
}
