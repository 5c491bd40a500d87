// Rosters: what is refused, and the golden vectors.
import { describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { LIMITS } from "#src/protocol.ts";
import { publicLine, rawKey } from "#src/trust/keys.ts";
import { parseRoster } from "#src/trust/roster/document.ts";
import { parseOperatorKeys } from "#src/trust/roster/operator_keys.ts";
import { isValidAt, type Roster, verifyRoster } from "#src/trust/roster/roster.ts";
import { signDocument } from "#src/trust/signature.ts";
import { readVectors, verdictsInPython } from "#tests/trust/golden_vectors.ts";
import { testKey } from "#tests/trust/test_key.ts";
import { OPERATOR, signedRoster } from "./signed.ts";

const VECTORS = "roster_vectors.json";

const vectors = await readVectors(VECTORS);
const operators = parseOperatorKeys(vectors.trusted_keys.join("\n"));
const NOW_MS = Date.parse("2026-11-28T21:00:00Z");
const DAY_MS = 86_400_000;
const LINE = publicLine(testKey(1), "server@platform");

function verified(text: string): Roster {
  return verifyRoster(text, (id) => operators.get(id));
}

function faultOf(run: () => unknown): string {
  try {
    run();
    return "none";
  } catch (error) {
    return error instanceof CourierError ? `${error.code}: ${error.message}` : String(error);
  }
}

const VERDICTS: Readonly<Record<string, string>> = {
  valid: "none",
  unsigned: "unauthenticated: it is not signed",
  "unknown key": `unauthenticated: the key ${testKey(1).id} is not an operator's here`,
  wrong: "unauthenticated: it was changed after it was signed",
};

describe("verifyRoster()", () => {
  test.each([...vectors.documents])("agrees with the golden verdict on $name", ({ base64, verdict }) => {
    expect(faultOf(() => verified(Buffer.from(base64, "base64").toString()))).toBe(VERDICTS[verdict] ?? "");
  });

  test("a verifier in another language agrees with every golden verdict", () => {
    expect(verdictsInPython(VECTORS)).toEqual({
      ids: vectors.key_ids,
      verdicts: vectors.documents.map(({ verdict }) => verdict),
    });
  });

  test("leaves out a sender's line that it does not understand, and both lines of one key", () => {
    const other = publicLine(testKey(2), "alice@laptop");
    const senders = [LINE, `${publicLine(testKey(3), "bob")} from=10.0.0.1`, other, `${other} verbs=ping`];
    const { senderKeys } = verified(signedRoster({ serial: 1, issuedAtMs: NOW_MS, senders }));
    expect([...senderKeys.keys()]).toEqual([testKey(1).id]);
  });

  test("ignores fields of a later release", () => {
    const document = { serial: 1, issued_at_ms: 1, expires_at_ms: 2, agents: {}, senders: [], revoked: [], later: [1] };
    expect(verified(signDocument("roster", JSON.stringify(document), testKey(OPERATOR))).serial).toBe(1);
  });
});

test.each([
  ["a text", '"roster"', "it is not a roster"],
  ["no serial", { serial: undefined }, "it is not a roster: serial"],
  ["a serial that is not whole", { serial: 1.5 }, "it is not a roster: serial"],
  ["an agent's name that is a path", { agents: { "../gpu-1": rawKey(testKey(3)) } }, "it is not a roster: agents"],
  ["an agent's key that is too short", { agents: { "gpu-1": "AAAA" } }, "it is not a roster: agents.gpu-1"],
  ["an agent's key with which everybody can sign", { agents: { "gpu-1": `${"A".repeat(43)}=` } }, "it is not a roster"],
  ["an agent's key that ends in no whole byte", { agents: { "gpu-1": `${"C".repeat(42)}B=` } }, "it is not a roster"],
  ["a revoked key that is not an id", { revoked: ["server@platform"] }, "it is not a roster: revoked.0"],
  ["a sender that is not a text", { senders: [1] }, "it is not a roster: senders.0"],
  ["91 days", { issued_at_ms: 0, expires_at_ms: 91 * DAY_MS }, "it must end within 90 days after it was issued"],
  ["an end before its beginning", { issued_at_ms: 3, expires_at_ms: 2 }, "it must end within 90 days after it"],
  ["too many agents", { agents: manyAgents(LIMITS.states + 1) }, "it has more than 20000 agents"],
] as const)("parseRoster() refuses a roster with %s", (_, change, message) => {
  const document = { serial: 1, issued_at_ms: 1, expires_at_ms: 2, agents: {}, senders: [], revoked: [] };
  const text = typeof change === "string" ? change : JSON.stringify({ ...document, ...change });
  expect(faultOf(() => parseRoster(text))).toStartWith(`invalid: ${message}`);
});

test("a roster of the largest fleet with the longest names fits the limit", () => {
  const text = signedRoster({ serial: 1, issuedAtMs: NOW_MS, agents: manyAgents(LIMITS.states) });
  expect(text.length).toBeLessThan(LIMITS.rosterBytes);
  expect(Object.keys(verified(text).agents).length).toBe(LIMITS.states);
});

test("isValidAt() is true from a day before a roster was issued until its end", () => {
  const roster = verified(signedRoster({ serial: 1, issuedAtMs: NOW_MS, days: 90 }));
  const at = [-DAY_MS - 1, -DAY_MS, 0, 90 * DAY_MS - 1, 90 * DAY_MS].map((ms) => isValidAt(roster, NOW_MS + ms));
  expect(at).toEqual([false, true, true, true, false]);
});

test("agentKeys has neither a name that is not in the roster nor a key that it revokes", () => {
  const agents = { "gpu-1": rawKey(testKey(3)), "gpu-2": rawKey(testKey(4)) };
  const roster = verified(signedRoster({ serial: 1, issuedAtMs: NOW_MS, agents, revoked: [testKey(4).id] }));
  const keys = ["gpu-1", "gpu-2", "gpu-3", "constructor"].map((agent) => roster.agentKeys.get(agent));
  expect(keys).toEqual([rawKey(testKey(3)), undefined, undefined, undefined]);
});

test("parseOperatorKeys() refuses a line with verbs", () => {
  expect(faultOf(() => parseOperatorKeys(`${LINE} verbs=ping`))).toBe(
    `invalid: the line of the key ${testKey(1).id} has verbs=, which operators do not have`,
  );
});

function manyAgents(count: number): Record<string, string> {
  const key = rawKey(testKey(3));
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`a${n}`.padEnd(63, "x"), key]));
}
