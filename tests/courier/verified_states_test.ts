// VerifiedStates and Troubles: what they remember is bounded, also while somebody invents names.
import { expect, test } from "bun:test";
import { VerifiedStates } from "#src/courier/verified_states.ts";
import { LIMITS } from "#src/protocol.ts";
import { KnownAgents } from "#src/trust/agents/known_agents.ts";
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
