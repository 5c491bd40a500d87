// Any sequence of steps ends the same on NATS as on memory. NATS_FAULTS=long tries many more.
import { afterAll, beforeAll, test } from "bun:test";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { NatsTransport } from "#src/transport/nats/driver.ts";
import { parseNatsAddress } from "#src/transport/nats/options.ts";
import type { Transport } from "#src/transport.ts";
import { NatsServer } from "#tests/support/nats/nats_server.ts";
import { expectLikeMemory, type Subject } from "#tests/transport/conformance/property.ts";

const RUNS = process.env["NATS_FAULTS"] === "long" ? 500 : 40;

let server: NatsServer;
let stores = 0;
beforeAll(async () => {
  server = await NatsServer.start();
});
afterAll(async () => await server.stop());

test("NATS ends every sequence of steps as memory does", async () => {
  await expectLikeMemory({ open: openSubject, hasSharedInbox: false, runs: RUNS });
}, 300_000);

/** A response counts only from the agent that was asked, so each side of the seam is a handle of its own. */
function openSubject(): Subject {
  const prefix = `store_${stores++}`;
  const open = (identity?: string): Transport =>
    new NatsTransport(parseNatsAddress(server.url), { prefix, identity, clock: systemClock, log: silentLog });
  const [sender, waiting, agent] = [open(), open(), open("gpu-9")];
  const sides = new Map<string | symbol, Transport>([
    ["send", sender],
    ["withdraw", sender],
    ["openReplies", waiting],
    ["releaseReply", waiting],
  ]);
  const all = [sender, waiting, agent];
  const connect = async (): Promise<void> => {
    // One after the other: the first makes the buckets.
    for (const handle of all) await handle.connect();
  };
  const close = async (): Promise<void> => {
    for (const handle of all) await handle.close();
  };
  const handle = new Proxy(agent, {
    get: (_, name) => {
      if (name === "connect") return connect;
      if (name === "close") return close;
      const side = sides.get(name) ?? agent;
      const member: unknown = Reflect.get(side, name, side);
      return typeof member === "function" ? member.bind(side) : member;
    },
  });
  return { handle, remove: async () => undefined };
}
