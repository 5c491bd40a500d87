// VerifiedStates and Troubles: what they remember is bounded, also while somebody invents names.
import { expect, test } from "bun:test";
import { VerifiedStates } from "#src/courier/verified_states.ts";
import { LIMITS } from "#src/protocol.ts";
import { KnownAgents } from "#src/trust/agents/known_agents.ts";
import { rawKey } from "#src/trust/keys.ts";
import { signDocument } from "#src/trust/signature.ts";
import { signedState, unsignedState } from "#tests/trust/agents/signed_states.ts";
import { testKey } from "#tests/trust/test_key.ts";

const record = (agent: string, text: string) => ({ agent, content: { text }, publishedAtMs: 0 });

test("verify() judges a document once that is read again, until somebody decides on a key", () => {
  const agents = new KnownAgents();
  const states = new VerifiedStates(agents);
  const forged = record("gpu-1", signedState("gpu-2", { key: testKey() }));
  for (let reading = 0; reading < 3; reading++) expect(states.verify(forged)).toBeNull();
  expect(agents.troubles.all()).toMatchObject([{ count: 1 }]);
  agents.adopt("gpu-3", { key: null, status: "unsigned", boot: 0, sequence: 0 });
  states.verify(forged);
  expect(agents.troubles.all()).toMatchObject([{ count: 2 }]);
});

test("verify() returns the text without its signature, which differs each time", () => {
  const states = new VerifiedStates(new KnownAgents());
  const verified = states.verify(record("gpu-1", signedState("gpu-1", { key: testKey(), atMs: 5 })));
  expect(verified).toMatchObject({ isSigned: true, publishedAtMs: 5 });
  expect(JSON.stringify(verified?.content)).not.toContain('"signature');
});

test("names that are gone are forgotten", () => {
  const states = new VerifiedStates(new KnownAgents());
  for (const name of ["gpu-1", "gpu-2", "gpu-3"]) states.verify(record(name, unsignedState(name)));
  states.forget("gpu-1");
  states.keepOnly(new Set(["gpu-3"]));
  expect(states.size).toBe(1);
});

test("invented names never keep the troubles of a known agent from being counted", () => {
  const agents = new KnownAgents();
  agents.judge("gpu-1", signedState("gpu-1", { key: testKey() }));
  const forged = signedState("somebody", { key: testKey(2) });
  for (let number = 0; number <= LIMITS.states; number++) agents.judge(`x${number}`, forged);
  expect(agents.troubles.all()).toHaveLength(LIMITS.states);
  agents.judge("gpu-1", unsignedState("gpu-1"));
  expect(agents.troubles.all().at(-1)).toMatchObject({ agent: "gpu-1", trouble: { kind: "unsigned" } });
});

const known = (status: "first use" | "confirmed") => ({ key: rawKey(testKey(2)), status, boot: 1, sequence: 1 });
const judge = (agents: KnownAgents, agent: string, text: string) => {
  const verdict = agents.judge(agent, text);
  return verdict.counts ? "counts" : verdict.trouble.kind;
};

test("a signed text that is no state never takes room for a key", () => {
  const agents = new KnownAgents();
  const fields = { agent: "x", key: rawKey(testKey()), boot: 1, sequence: 1, published_at_ms: 0 };
  agents.judge("x", signDocument("state", JSON.stringify(fields), testKey()));
  expect(agents.all()).toEqual([]);
});

test("a new agent takes the room of a key of first use whose agent has no document, once all were read", () => {
  const agents = new KnownAgents();
  for (let number = 1; number < LIMITS.states; number++) agents.adopt(`x${number}`, known("first use"));
  agents.adopt("gpu-0", known("confirmed"));
  const state = (sequence: number, byte = 1) => signedState("gpu-1", { key: testKey(byte), sequence });
  expect(judge(agents, "gpu-1", state(1))).toBe("unpinned");
  expect(agents.troubles.all()).toMatchObject([{ agent: "gpu-1", trouble: { kind: "unpinned" } }]);
  const present = new Set(Array.from({ length: LIMITS.states }, (_, number) => `x${number}`));
  agents.looked(present);
  expect(judge(agents, "gpu-1", state(2))).toBe("unpinned");
  present.delete("x7");
  agents.looked(present);
  expect([judge(agents, "gpu-1", state(3)), judge(agents, "gpu-1", state(4, 2))]).toEqual(["counts", "conflict"]);
  expect([agents.known("x7"), agents.known("x8")?.status, agents.known("gpu-0")?.status]).toEqual([
    null,
    "first use",
    "confirmed",
  ]);
  const { displaced, learned } = agents.unsaved("keys");
  expect([[...displaced], [...learned.keys()]]).toEqual([["x7"], ["gpu-1"]]);
  expect(agents.all()).toHaveLength(LIMITS.states);
  // When it comes back before that is stored, its key in the store must still go: it may have another one now.
  present.delete("x8");
  agents.looked(present);
  expect(judge(agents, "x7", signedState("x7", { key: testKey(3) }))).toBe("counts");
  const again = agents.unsaved("keys");
  expect([again.displaced.has("x7"), again.learned.get("x7")?.key]).toEqual([true, rawKey(testKey(3))]);
});

test("names that never signed take no room of keys, where all must sign", () => {
  const agents = new KnownAgents("all");
  for (let number = 0; number <= LIMITS.states; number++) agents.judge(`x${number}`, unsignedState("x"));
  const state = (byte: number) => signedState("gpu-1", { key: testKey(byte) });
  expect([judge(agents, "gpu-1", state(1)), judge(agents, "gpu-1", state(2))]).toEqual(["counts", "conflict"]);
});
