// The name of the person or program that asks, as commands carry it.
import { afterEach, expect, test } from "bun:test";
import { Courier } from "#src/courier.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { Transport } from "#src/transport.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close();
});

/** An agent, and a courier of this requester. */
async function site(requestedBy: string | undefined): Promise<{ agent: ScriptedAgent; courier: Courier }> {
  const store = new MemoryStore();
  const transport: Transport = store.open();
  await transport.connect();
  const agent = await ScriptedAgent.open(store, "gpu-1");
  const courier = new Courier(transport, { sender: "tester", timeoutMs: 1000, requestedBy });
  open.push(transport, agent, courier);
  return { agent, courier };
}

function requesters({ commands }: ScriptedAgent): (string | undefined)[] {
  return commands.map(({ requested_by }) => requested_by);
}

test("a request carries its own name, else that of the courier", async () => {
  const { agent, courier } = await site("gpuctl:alice@laptop");
  await courier.ping("gpu-1");
  await courier.pullModel("gpu-1", "phi4", { requestedBy: "platform" });
  expect(requesters(agent)).toEqual(["gpuctl:alice@laptop", "platform"]);
});

test("a request without a name carries none, so that every agent accepts it", async () => {
  const { agent, courier } = await site(undefined);
  await courier.ping("gpu-1");
  expect(agent.commands.map((command) => "requested_by" in command)).toEqual([false]);
});

test("a name is cut to what agents accept", async () => {
  const { agent, courier } = await site(`gpuctl:alice@${"x".repeat(100)}`);
  await courier.ping("gpu-1");
  expect(requesters(agent)).toEqual([`gpuctl:alice@${"x".repeat(51)}`]);
});
