// Documents that are replaced while they are read: each reading has one of every agent.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Transport } from "#src/transport.ts";
import { NatsBed } from "#tests/support/nats/nats_bed.ts";

const AGENTS = Array.from({ length: 30 }, (_, number) => `gpu-${number}`);
const READERS = 3;
const READINGS = 400;

let bed: NatsBed;
beforeEach(async () => {
  bed = await NatsBed.start();
});
afterEach(async () => await bed.close());

test.each([1, 30])(
  "no reading misses one of %d documents that are replaced all the time",
  async (count) => {
    const agents = AGENTS.slice(0, count);
    const writer = await bed.open();
    for (const agent of agents) await writer.publishState(agent, document(0));
    const over = new AbortController();
    const writing = agents.map(async (agent) => {
      for (let n = 1; !over.signal.aborted; n++) await writer.publishState(agent, document(n));
    });
    const missed = await Promise.all(
      Array.from({ length: READERS }, async () => await misses(await bed.open(), agents)),
    );
    over.abort();
    await Promise.all(writing);
    expect(missed).toEqual(missed.map(() => []));
  },
  60_000,
);

function document(n: number): string {
  return JSON.stringify({ n, filling: "x".repeat(5_000) });
}

/** @returns what was there, of each reading in which something was missing */
async function misses(reader: Transport, agents: readonly string[]): Promise<readonly (readonly string[])[]> {
  const missed: (readonly string[])[] = [];
  for (let reading = 0; reading < READINGS; reading++) {
    const found = (await reader.readStates()).map(({ agent }) => agent).toSorted();
    if (found.length < agents.length) missed.push(found);
  }
  return missed;
}
