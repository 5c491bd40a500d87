// What agents and senders of a test stand on: memory, or a share whose files are dated by the test's clock.
import { constants, futimesSync, readdirSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import type { Primitives } from "#src/transport/share/calls/primitives.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import type { Transport } from "#src/transport.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { ShareFolder } from "./share_folder.ts";

/** The number of files. */
export interface Lying {
  readonly inboxes: Readonly<Record<string, number>>;
  /** By address. */
  readonly replies: Readonly<Record<string, number>>;
  readonly claims: number;
}

export interface Ground {
  readonly clock: ManualClock;
  /** Another process's handle. @param clock what it waits by */
  open(clock: Clock): Transport;
  lying(): Lying;
  /** An agent's document; null when it has no document. */
  state(agent: string): string | null;
  remove(): Promise<void>;
}

export class MemoryGround implements Ground {
  readonly clock = new ManualClock();
  readonly #store = new MemoryStore(this.clock);

  open(clock: Clock): Transport {
    return this.#store.open(clock);
  }

  lying(): Lying {
    return {
      inboxes: counts(this.#store.inboxes, "agent "),
      replies: counts(this.#store.replies, "to "),
      claims: this.#store.claims.size,
    };
  }

  state(agent: string): string | null {
    return this.#store.states.get(agent)?.text ?? null;
  }

  async remove(): Promise<void> {}
}

function counts(boxes: ReadonlyMap<string, ReadonlyMap<string, unknown>>, prefix: string): Record<string, number> {
  const entries = [...boxes].map(([key, box]) => [key.replace(prefix, ""), box.size] as const);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

export class ShareGround implements Ground {
  readonly clock = new ManualClock();
  readonly #folder = new ShareFolder();
  readonly #watch: "local" | "network";

  constructor(watch: "local" | "network") {
    this.#watch = watch;
  }

  open(clock: Clock): Transport {
    const files = datedPrimitives(this.clock);
    const options = { create: "always", watch: this.#watch, clock, log: silentLog } as const;
    return new ShareTransport(this.#folder.root, options, { local: files, network: files });
  }

  lying(): Lying {
    const [commands, status] = ["gpu_commands", "gpu_status"];
    const inboxes = [["shared", this.#count(commands, ".json")], ...this.#folders(commands, ".json")];
    const replies = [["shared", this.#count(status, "_response.json")], ...this.#folders(status, "_response.json")];
    return {
      inboxes: Object.fromEntries(inboxes.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1))),
      replies: Object.fromEntries(replies.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1))),
      claims: this.#count(join(commands, ".claims"), ""),
    };
  }

  state(agent: string): string | null {
    try {
      return readFileSync(join(this.#folder.root, "gpu_status", `${agent}_status.json`), "utf8");
    } catch {
      return null;
    }
  }

  async remove(): Promise<void> {
    await this.#folder.remove();
  }

  #folders(top: string, suffix: string): [string, number][] {
    const entries = this.#entries(top).filter((entry) => entry.isDirectory() && !entry.name.startsWith("."));
    return entries.map(({ name }) => [name, this.#count(join(top, name), suffix)]);
  }

  #count(folder: string, suffix: string): number {
    return this.#entries(folder).filter((entry) => entry.isFile() && entry.name.endsWith(suffix)).length;
  }

  #entries(folder: string) {
    try {
      return readdirSync(join(this.#folder.root, folder), { withFileTypes: true });
    } catch {
      return [];
    }
  }
}

/** The local file calls, on a disk that uses this clock and is never slow: while it was, hours would pass. */
function datedPrimitives(clock: Clock): Primitives {
  const date = (file: number): void => futimesSync(file, clock.now() / 1000, clock.now() / 1000);
  return {
    ...localPrimitives,
    open: async (path, flags, mode) => {
      const file = await localPrimitives.open(path, flags, mode);
      if ((flags & constants.O_CREAT) !== 0) date(file);
      return file;
    },
    write: async (file, bytes) => {
      await localPrimitives.write(file, bytes);
      date(file);
    },
    // Processes crash here, not machines.
    fsync: () => undefined,
    mkdir: async (path, mode) => {
      await localPrimitives.mkdir(path, mode);
      utimesSync(path, clock.now() / 1000, clock.now() / 1000);
    },
  };
}
