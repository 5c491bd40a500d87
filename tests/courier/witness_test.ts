// What a courier's witness learns: every changing command, whichever method sends it.
import { afterEach, expect, test } from "bun:test";
import { Courier } from "#src/courier.ts";
import { VERBS, Verb } from "#src/protocol.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close();
});

async function site() {
  const store = new MemoryStore();
  const transport = store.open();
  await transport.connect();
  const agent = await ScriptedAgent.open(store, "gpu-1", { models: [modelOf("phi4:latest")] });
  const seen: string[] = [];
  const courier = new Courier(transport, {
    sender: "tester",
    timeoutMs: 1000,
    witness: {
      notSent: ({ code }) => void seen.push(`not sent: ${code}`),
      begin: (name, { verb }) => {
        seen.push(`${verb} ${name}, ${agent.commands.length} sent`);
        return (ended) => seen.push("code" in ended && ended.code !== undefined ? `failed: ${ended.code}` : "done");
      },
    },
  });
  open.push(transport, agent, courier);
  return { courier, seen };
}

test.each(Verb.options)("a witness learns of %s before it is sent, if it changes anything", async (verb) => {
  const { courier, seen } = await site();
  await courier.request("gpu-1", { verb, modelName: "phi4", arguments: {} }).catch(() => undefined);
  expect(seen.slice(0, 1)).toEqual(VERBS[verb].changing ? [`${verb} gpu-1, 0 sent`] : []);
  expect(seen).toHaveLength(VERBS[verb].changing ? 2 : 0);
});

test("a witness learns how a command ended, and only the reason where the agent is unknown", async () => {
  const { courier, seen } = await site();
  await courier.deleteModel("gpu-1", "phi4");
  await courier.deleteModel("gpu-1", "phi4").catch(() => undefined);
  await courier.pullModel("gpu-9", "phi4").catch(() => undefined);
  expect(seen).toEqual([
    "delete_model gpu-1, 0 sent",
    "done",
    "delete_model gpu-1, 1 sent",
    "failed: not_found",
    "not sent: not_found",
  ]);
});
