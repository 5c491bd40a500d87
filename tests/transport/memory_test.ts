// The conformance suite on the memory transport, the reference.
import { systemClock } from "#src/base/clock.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { Harness } from "#tests/transport/conformance/scenario.ts";
import { describeTransport } from "#tests/transport/conformance/suite.ts";

const NEVER_AWAY = "it lives in this process and cannot be away";

function harness(hasHeartbeats: boolean): Harness {
  return {
    openStore: async () => {
      const store = new MemoryStore(systemClock, hasHeartbeats);
      return {
        handle: () => store.open(),
        interrupt: async () => undefined,
        restore: async () => undefined,
        remove: async () => undefined,
        writeState: async (agent, text) => store.put(store.states, agent, text),
        removeState: async (agent) => store.removeState(agent),
        age: async (ms) => makeOlder(store, ms),
      };
    },
    cannot: {
      "connect() throws unavailable when the transport is not there, and resolves when it is": NEVER_AWAY,
      "examine() reports failures with hints while the transport is away": NEVER_AWAY,
      "every method throws unavailable while the transport is away, and works when it is back": NEVER_AWAY,
      "receive() reports one interruption and one restoration, and continues by itself": NEVER_AWAY,
      "openReplies() continues by itself after the transport was away": NEVER_AWAY,
      "watchStates() reports one interruption and one restoration, forgets nothing, and continues by itself":
        NEVER_AWAY,
    },
  };
}

describeTransport("memory", harness(false));
describeTransport("memory with heartbeats", harness(true));

function makeOlder({ inboxes, replies, states, claims, aliveAtMs }: MemoryStore, ms: number): void {
  for (const entries of [...inboxes.values(), ...replies.values(), states, claims])
    for (const [key, entry] of entries) entries.set(key, { ...entry, atMs: entry.atMs - ms });
  for (const [key, atMs] of aliveAtMs) aliveAtMs.set(key, atMs - ms);
}
