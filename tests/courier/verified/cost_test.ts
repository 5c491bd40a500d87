// What it costs to verify the states of a large fleet, which all change every few seconds.
import { expect, test } from "bun:test";
import { VerifiedStates } from "#src/courier/verified_states.ts";
import { KnownAgents } from "#src/trust/agents/known_agents.ts";
import { signedState } from "#tests/trust/agents/signed_states.ts";
import { testKey } from "#tests/trust/test_key.ts";

const STATES = 1_000;
const ROUNDS = 3;
/** A quarter of a core for 1,000 states a second. A slower machine may take five times as long. */
const TARGET_MS = 250;
const SLACK = 5;

test("1,000 signed states of 9 kB are verified within a quarter of a second of one core", () => {
  const keys = [1, 2, 3, 4, 5].map((byte) => testKey(byte));
  const gpus = Array.from({ length: 48 }, (_, index) => ({
    index,
    uuid: `GPU-${"0".repeat(32)}`,
    name: "NVIDIA H200",
    memory_total_bytes: 150e9,
    memory_used_bytes: 75e9,
  }));
  const states = new VerifiedStates(new KnownAgents());
  const agents = Array.from({ length: STATES }, (_, index) => ({
    agent: `gpu-${index}`,
    key: keys[index % 5] ?? keys[0],
  }));
  let cheapestMs = Number.POSITIVE_INFINITY;
  let bytes = 0;
  for (let sequence = 1; sequence <= ROUNDS; sequence++) {
    const records = agents.map(({ agent, key = testKey() }) => {
      const text = signedState(agent, { key, sequence }, { gpus });
      return { agent, content: { text }, publishedAtMs: 0 };
    });
    bytes = records[0]?.content.text.length ?? 0;
    const before = process.cpuUsage();
    const verified = records.filter((record) => states.verify(record) !== null);
    const { user, system } = process.cpuUsage(before);
    cheapestMs = Math.min(cheapestMs, (user + system) / 1000);
    expect(verified).toHaveLength(STATES);
  }
  process.stdout.write(
    `${STATES} signed states of ${bytes} bytes: ${cheapestMs.toFixed(0)} ms of CPU time, target ${TARGET_MS} ms\n`,
  );
  expect(bytes).toBeGreaterThan(9_000);
  expect(cheapestMs).toBeLessThan(TARGET_MS * SLACK);
});
