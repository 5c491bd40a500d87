// Agents of gpu-server as views: whatever is wrong with one reads as it does on the share.
import { describe, expect, test } from "bun:test";
import { viewOf } from "#src/client/over_http/views/view.ts";
import type { AgentView } from "#src/courier/agent_view.ts";
import { describeAgent } from "#src/courier/describe_view.ts";
import { Fleet } from "#src/courier/fleet.ts";
import { AgentDocument, agentDocument } from "#src/documents/agents.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

const KEY = { id: "0123456789abcdef", status: "confirmed", trouble: null } as const;
const CONFLICT = { kind: "conflict", reason: "it is signed by the key fedc", keyId: "fedc" } as const;

async function onShare(change: Partial<AgentView> = {}, state: Parameters<ScriptedAgent["publish"]>[0] = {}) {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  const agent = await ScriptedAgent.open(store, "gpu-1");
  await agent.publish(state);
  const transport = store.open();
  await transport.connect();
  const [view] = await new Fleet(transport, clock).read();
  await agent.close();
  await transport.close();
  if (view === undefined) throw new Error("No view");
  return { view: { ...view, ...change }, nowMs: clock.now() };
}

const CASES: Readonly<Record<string, Parameters<typeof onShare>>> = {
  "an online agent": [],
  "a silent one": [{ online: false, reason: "silent" }],
  "a stopped one": [{ online: false, reason: "stopped" }, { status: "stopped" }],
  "one that drains": [{ reason: "draining" }, { status: "draining" }],
  "a degraded one": [{ reason: "degraded" }, { status: "degraded", degraded_reason: "another machine has its name" }],
  "one seen on a share that is away": [{ online: false, reason: "share_stale" }],
  "one whose Ollama is down": [
    { reason: "ollama_down" },
    { ollama: { reachable: false, version: null, error: "connection refused", checked_at: "2026-01-02T03:04:05Z" } },
  ],
  "one with a key": [{ key: KEY }],
  "one with another key": [{ key: { ...KEY, trouble: CONFLICT } }],
  "one whose documents are forged": [
    {
      state: null,
      online: false,
      reason: "silent",
      key: { ...KEY, trouble: { kind: "forged", reason: "it is forged" } },
    },
  ],
};

describe("viewOf()", () => {
  for (const [name, change] of Object.entries(CASES))
    test(`describes ${name} in the words of the share`, async () => {
      const { view, nowMs } = await onShare(...change);
      const document = AgentDocument.strict().parse(JSON.parse(JSON.stringify(agentDocument(view))));
      const remote = viewOf(document, nowMs);
      expect(describeAgent(remote)).toBe(describeAgent({ ...view, silentMs: nowMs - Date.parse(view.lastSeenAt) }));
      expect([remote.online, remote.reason, remote.key?.trouble?.kind]).toEqual([
        view.online,
        view.reason,
        view.key?.trouble?.kind,
      ]);
      expect(agentDocument(remote)).toMatchObject({ ...document, job_count: view.state === null ? null : 0 });
    });

  test("takes the conflict of an older server, which gives no reason", async () => {
    const { view, nowMs } = await onShare({ key: { ...KEY, trouble: CONFLICT } });
    const { key_trouble: _reason, ...document } = agentDocument(view);
    expect(describeAgent(viewOf(document, nowMs))).toContain("conflict: it is signed by the key fedc");
  });

  test("takes an unknown trouble of a newer server for a forged document", async () => {
    const { view, nowMs } = await onShare();
    const document = { ...agentDocument(view), key_trouble: { kind: "new kind", reason: "it is odd" } };
    expect(viewOf(document, nowMs).key?.trouble).toEqual({ kind: "forged", reason: "it is odd" });
  });
});
