// The conformance suite on the memory transport, the reference.
import { MemoryStore } from "#src/transport/memory.ts";
import { describeTransport } from "#tests/conformance/suite.ts";

const NEVER_AWAY = "it lives in this process and cannot be away";

describeTransport("memory", {
  openStore: async () => {
    const store = new MemoryStore();
    return {
      handle: () => store.open(),
      interrupt: async () => undefined,
      restore: async () => undefined,
      remove: async () => undefined,
      age: async (ms) => makeOlder(store, ms),
    };
  },
  cannot: {
    "connect() throws unavailable when the transport is not there, and resolves when it is": NEVER_AWAY,
    "examine() says what failed and what to do while the transport is away": NEVER_AWAY,
    "every method throws unavailable while the transport is away, and works when it is back": NEVER_AWAY,
    "receive() says once that it is interrupted and once that it is restored, and goes on by itself": NEVER_AWAY,
    "openReplies() goes on by itself when the transport was away": NEVER_AWAY,
  },
});

function makeOlder({ inboxes, replies, states, claims, aliveAtMs }: MemoryStore, ms: number): void {
  for (const box of [...inboxes.values(), ...replies.values(), states, claims])
    for (const [key, letter] of box) box.set(key, { ...letter, atMs: letter.atMs - ms });
  for (const [key, atMs] of aliveAtMs) aliveAtMs.set(key, atMs - ms);
}
