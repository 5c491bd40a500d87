// The conformance suite on two stores at once, with the agents on the first or on the second.
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { several } from "#src/transport/several.ts";
import type { Transport } from "#src/transport.ts";
import { ShareFolder } from "#tests/support/sites/share_folder.ts";
import type { Harness, Store } from "#tests/transport/conformance/scenario.ts";
import { describeTransport } from "#tests/transport/conformance/suite.ts";

const DEPS = { keys: { knownKey: () => null }, clock: systemClock, log: silentLog };
const NEVER_AWAY = "the stores live in this process; several_test.ts makes one of them unreachable";
const CANNOT = {
  "connect() throws unavailable when the transport is not there, and resolves when it is": NEVER_AWAY,
  "examine() reports failures with hints while the transport is away": NEVER_AWAY,
  "every method throws unavailable while the transport is away, and works when it is back": NEVER_AWAY,
  "receive() reports one interruption and one restoration, and continues by itself": NEVER_AWAY,
  "openReplies() continues by itself after the transport was away": NEVER_AWAY,
  "watchStates() reports one interruption and one restoration, forgets nothing, and continues by itself": NEVER_AWAY,
};
/** An agent has one transport. */
const OF_AGENTS: ReadonlySet<PropertyKey> = new Set<keyof Transport>([
  "openInbox",
  "receive",
  "commandsIn",
  "isUnchanged",
  "claim",
  "claimedBy",
  "release",
  "respond",
  "respondedAtMs",
  "publishState",
  "renewState",
  "sweep",
  "openStates",
]);

describeTransport("several, the agents on the first", { ...harness(0), cannot: CANNOT });
describeTransport("several, the agents on the second", {
  ...harness(1),
  lacks: { "shared inbox": "without a legacy service it is that of the first transport" },
  cannot: CANNOT,
});

describeTransport("several shares, the agents on the second", {
  openStore: async () => new TwoShares(),
  lacks: { "shared inbox": "without a legacy service it is that of the first transport" },
  cannot: {},
});

/** Both are away at the same time: several_test.ts has one that is away alone. */
class TwoShares implements Store {
  readonly #shares = [new ShareFolder({ watch: "local" }), new ShareFolder({ watch: "local" })] as const;

  handle(): Transport {
    const [first, second] = [this.#shares[0].handle(), this.#shares[1].handle()];
    return withAgents(several([first, second], DEPS), second);
  }

  async interrupt(): Promise<void> {
    for (const share of this.#shares) await share.interrupt();
  }

  async restore(): Promise<void> {
    for (const share of this.#shares) await share.restore();
  }

  async writeState(agent: string, text: string): Promise<void> {
    await this.#shares[1].writeState(agent, text);
  }

  async removeState(agent: string): Promise<void> {
    await this.#shares[1].removeState(agent);
  }

  async age(ms: number): Promise<void> {
    await this.#shares[1].age(ms);
  }

  async remove(): Promise<void> {
    for (const share of this.#shares) await share.remove();
  }
}

function harness(home: 0 | 1): Pick<Harness, "openStore"> {
  return {
    openStore: async (): Promise<Store> => {
      const stores = [new MemoryStore(systemClock, true), new MemoryStore(systemClock, false)] as const;
      const store = stores[home];
      return {
        handle: () => {
          const [first, second] = [named(stores[0].open(), "first"), named(stores[1].open(), "second")];
          return withAgents(several([first, second], DEPS), home === 0 ? first : second);
        },
        interrupt: async () => undefined,
        restore: async () => undefined,
        remove: async () => undefined,
        writeState: async (agent, text) => store.put(store.states, agent, text),
        removeState: async (agent) => store.removeState(agent),
        age: async (ms) => makeOlder(store, ms),
      };
    },
  };
}

/** A handle for both sides of a scenario: `sender` on all stores, `agent` on its own. */
function withAgents(sender: Transport, agent: Transport): Transport {
  return new Proxy(sender, {
    get: (_, name) => {
      const side = OF_AGENTS.has(name) ? agent : sender;
      const value: unknown = Reflect.get(side, name, side);
      return typeof value === "function" ? value.bind(side) : value;
    },
  });
}

/** Checks of the doctor name the transport. */
function named(transport: Transport, description: string): Transport {
  return Object.defineProperty(transport, "description", { value: description });
}

function makeOlder({ inboxes, replies, states, claims, aliveAtMs }: MemoryStore, ms: number): void {
  for (const entries of [...inboxes.values(), ...replies.values(), states, claims])
    for (const [key, entry] of entries) entries.set(key, { ...entry, atMs: entry.atMs - ms });
  for (const [key, atMs] of aliveAtMs) aliveAtMs.set(key, atMs - ms);
}
