// KnownAgents: which documents count, under which name, in each mode.
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { parseGivenKey, trustKey, trustUnsigned } from "#src/trust/agents/decisions.ts";
import { KnownAgents, type VerifyMode } from "#src/trust/agents/known_agents.ts";
import { publicLine, rawKey } from "#src/trust/keys.ts";
import { signDocument } from "#src/trust/signature.ts";
import { signedState, unsignedState } from "#tests/trust/agents/signed_states.ts";
import { testKey } from "#tests/trust/test_key.ts";

const [MINE, OTHER] = [testKey(1), testKey(2)];

/** Whether each text counts, one after another; otherwise the kind of the trouble. */
function judge(agents: KnownAgents, ...texts: readonly string[]): string[] {
  return texts.map((text) => {
    const verdict = agents.judge("gpu-1", text);
    return verdict.counts ? "counts" : verdict.trouble.kind;
  });
}

const signed = (sequence: number, boot = 1, key = MINE) => signedState("gpu-1", { key, boot, sequence });

describe("judge()", () => {
  test("counts every unsigned document of a name that never signed", () => {
    const agents = new KnownAgents();
    expect(judge(agents, unsignedState("gpu-1"), unsignedState("gpu-1"), "half a docum")).toEqual(
      Array(3).fill("counts"),
    );
    expect([agents.key("gpu-1"), agents.all()]).toEqual([null, []]);
  });

  test("remembers the first key, and then counts no unsigned document", () => {
    const agents = new KnownAgents();
    expect(judge(agents, unsignedState("gpu-1"), signed(1), unsignedState("gpu-1"), signed(2))).toEqual([
      "counts",
      "counts",
      "unsigned",
      "counts",
    ]);
    expect(agents.key("gpu-1")).toEqual({ id: MINE.id, status: "first use", trouble: null });
  });

  test("returns the time that the agent signed", () => {
    const text = signedState("gpu-1", { key: MINE, atMs: 1234.5 });
    expect(new KnownAgents().judge("gpu-1", text)).toEqual({ counts: true, publishedAtMs: 1234.5 });
  });

  test("does not count a document of another key, which is a conflict until one of the known key comes", () => {
    const agents = new KnownAgents();
    expect(judge(agents, signed(1), signed(9, 9, OTHER))).toEqual(["counts", "conflict"]);
    expect(agents.key("gpu-1")).toMatchObject({ id: MINE.id, trouble: { kind: "conflict", key: rawKey(OTHER) } });
    expect(judge(agents, signed(2))).toEqual(["counts"]);
    expect(agents.key("gpu-1")?.trouble).toBeNull();
    expect(agents.troubles.all()).toMatchObject([{ agent: "gpu-1", count: 1, trouble: { kind: "conflict" } }]);
  });

  const wrong = (text: string): string => text.replace('"status":"running"', '"status":"stopped"');
  test.each([
    ["changed bytes", wrong(signed(2))],
    ["changed bytes under another key", wrong(signed(2, 1, OTHER))],
    ["another kind of document", signDocument("response", unsignedState("gpu-1"), MINE)],
    ["the signature of a key that it does not name", signDocument("state", unsignedState("gpu-1"), OTHER)],
    ["another agent's document", signedState("gpu-2", { key: OTHER })],
    ["no boot", signDocument("state", JSON.stringify({ agent: "gpu-1", key: rawKey(MINE), sequence: 3 }), MINE)],
    ["a time that no date can show", signedState("gpu-1", { key: MINE, sequence: 2, atMs: 1e300 })],
  ])("does not count a signed document with %s, whether or not the key is known", (_, text) => {
    const agents = new KnownAgents();
    expect(judge(agents, text)).toEqual(["forged"]);
    expect(agents.known("gpu-1")).toBeNull();
    expect(judge(agents, signed(1), text, signed(3))).toEqual(["counts", "forged", "counts"]);
  });

  test("does not count what goes back in (boot, sequence); the same document counts again", () => {
    const agents = new KnownAgents();
    expect(
      judge(agents, signed(100, 2), signed(100, 2), signed(99, 2), signed(1, 2), signed(500, 1), signed(1, 3)),
    ).toEqual(["counts", "counts", "late", "replayed", "replayed", "counts"]);
    expect(agents.known("gpu-1")).toMatchObject({ boot: 3, sequence: 1 });
    expect(judge(agents, signed(100, 2), signed(5, 1))).toEqual(["late", "replayed"]);
    // A slow reading is nobody's attack.
    expect(agents.troubles.all().map(({ count }) => count)).toEqual([3]);
  });

  test("counts a late document that comes again as replayed: it is no slow reading's", () => {
    const agents = new KnownAgents();
    expect(judge(agents, signed(100), signed(99), signed(101), signed(99))).toEqual([
      "counts",
      "late",
      "counts",
      "replayed",
    ]);
    expect(agents.troubles.all()).toMatchObject([{ count: 1, trouble: { kind: "replayed" } }]);
  });

  test("never verifies the legacy service, which has no name of an agent", () => {
    expect(new KnownAgents("known").judge("gpu", "{}").counts).toBe(true);
    expect(new KnownAgents("all").judge("gpu", "{}").counts).toBe(false);
  });

  test.each<[VerifyMode, readonly string[]]>([
    ["off", ["counts", "counts", "counts", "counts"]],
    ["known", ["counts", "counts", "conflict", "unsigned"]],
    ["all", ["required", "counts", "conflict", "unsigned"]],
  ])("in mode %s", (mode, outcomes) => {
    const texts = [unsignedState("gpu-1"), signed(1), signed(2, 1, OTHER), unsignedState("gpu-1")];
    expect(judge(new KnownAgents(mode), ...texts)).toEqual([...outcomes]);
  });

  test("follows a key that is expected elsewhere, before and after first use", () => {
    const expected = new Map<string, string>();
    const agents = new KnownAgents("known", { expectedKey: (agent) => expected.get(agent), isRevoked: () => false });
    expect(judge(agents, signed(1))).toEqual(["counts"]);
    expected.set("gpu-1", rawKey(OTHER));
    expect(judge(agents, signed(2), signed(1, 1, OTHER), unsignedState("gpu-1"))).toEqual([
      "conflict",
      "counts",
      "unsigned",
    ]);
    expect(agents.key("gpu-1")).toMatchObject({ id: OTHER.id, status: "confirmed" });
    expect(() => trustKey(agents, "gpu-1", rawKey(MINE))).toThrow("roster");
    expect(() => trustUnsigned(agents, "gpu-1")).toThrow("roster");
  });

  test("does not believe what an agent answers while the key that is expected of it is no key", () => {
    const lowOrder = `${"A".repeat(43)}=`;
    const agents = new KnownAgents("known", { expectedKey: () => lowOrder, isRevoked: () => false });
    expect(agents.judgeResponse("gpu-1", "{}", "{}")).toContain("no key");
    expect(judge(agents, unsignedState("gpu-1"), signed(1))).toEqual(["unsigned", "conflict"]);
  });

  test("an agent that a roster no longer names may be unsigned, where all must sign", () => {
    const expected = new Map([["gpu-1", rawKey(MINE)]]);
    const agents = new KnownAgents("all", { expectedKey: (agent) => expected.get(agent), isRevoked: () => false });
    judge(agents, signed(1));
    expect(() => trustUnsigned(agents, "gpu-1")).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("roster without the agent's line") }),
    );
    expected.clear();
    expect(judge(agents, unsignedState("gpu-1"))).toEqual(["unsigned"]);
    trustUnsigned(agents, "gpu-1");
    expect(judge(agents, unsignedState("gpu-1"), signed(2))).toEqual(["counts", "conflict"]);
    expect(agents.judgeResponse("gpu-1", "{}", "{}")).toBeNull();
    expected.set("gpu-1", rawKey(MINE));
    expect(judge(agents, unsignedState("gpu-1"), signed(3))).toEqual(["unsigned", "counts"]);
  });

  test("believes neither a document nor a response by a revoked key, also one that was confirmed", () => {
    const revoked = new Set<string>();
    const agents = new KnownAgents("known", { expectedKey: () => undefined, isRevoked: (id) => revoked.has(id) });
    expect(judge(agents, signed(1))).toEqual(["counts"]);
    trustKey(agents, "gpu-1", undefined);
    revoked.add(MINE.id);
    expect(judge(agents, signed(2))).toEqual(["revoked"]);
    const response = signDocument("response", '{"success":true}', MINE);
    expect(agents.judgeResponse("gpu-1", "{}", response)).toBe("an operator revoked the key of gpu-1");
  });
});

describe("an operator's decision", () => {
  test("trustKey() confirms the key of first use, and leaves the known position", () => {
    const agents = new KnownAgents();
    judge(agents, signed(100));
    expect(trustKey(agents, "gpu-1", undefined)).toMatchObject({
      before: { status: "first use" },
      after: { id: MINE.id, status: "confirmed" },
    });
    expect(judge(agents, signed(1), signed(101))).toEqual(["replayed", "counts"]);
  });

  test("trustKey() without a key never takes the one that is in conflict now, and names both", () => {
    const agents = new KnownAgents();
    judge(agents, signed(100, 7), signed(1, 1, OTHER));
    const both = expect.stringMatching(new RegExp(`${OTHER.id}.*${MINE.id}`));
    expect(() => trustKey(agents, "gpu-1", undefined)).toThrow(
      expect.objectContaining({ code: "conflict", message: both, hint: expect.stringContaining("trust gpu-1 KEY") }),
    );
    expect(judge(agents, signed(2, 1, OTHER), signed(101, 7))).toEqual(["conflict", "counts"]);
  });

  test("trustKey() takes the id of the key in conflict, or of the known one, and no other", () => {
    const agents = new KnownAgents();
    judge(agents, signed(100, 7), signed(1, 1, OTHER));
    expect(trustKey(agents, "gpu-1", MINE.id).after).toMatchObject({ id: MINE.id, status: "confirmed" });
    expect(() => trustKey(agents, "gpu-1", OTHER.id)).toThrow(expect.objectContaining({ code: "not_found" }));
    judge(agents, signed(1, 1, OTHER));
    expect(trustKey(agents, "gpu-1", OTHER.id)).toMatchObject({ before: { id: MINE.id }, after: { id: OTHER.id } });
    expect(judge(agents, signed(101, 7), signed(2, 1, OTHER))).toEqual(["conflict", "counts"]);
  });

  test("trustKey() with the known key begins at the first document, as after a restored state directory", () => {
    const agents = new KnownAgents();
    judge(agents, signed(100, 7), signed(1, 2));
    trustKey(agents, "gpu-1", rawKey(MINE));
    expect(judge(agents, signed(2, 2))).toEqual(["counts"]);
  });

  test("trustKey() with the known key leaves its position while nothing older is there", () => {
    const agents = new KnownAgents();
    judge(agents, signed(100, 7));
    trustKey(agents, "gpu-1", rawKey(MINE));
    expect(judge(agents, signed(2, 2), signed(101, 7))).toEqual(["replayed", "counts"]);
    trustUnsigned(agents, "gpu-1");
    trustKey(agents, "gpu-1", rawKey(MINE));
    expect(judge(agents, signed(2, 2), signed(102, 7))).toEqual(["replayed", "counts"]);
  });

  test("trustKey() of an agent that never signed needs a key, which is then required", () => {
    const agents = new KnownAgents();
    expect(() => trustKey(agents, "gpu-1", undefined)).toThrow("No document that gpu-1 signed was seen");
    trustKey(agents, "gpu-1", rawKey(MINE));
    expect(judge(agents, unsignedState("gpu-1"), signed(1, 1, OTHER), signed(1))).toEqual([
      "unsigned",
      "conflict",
      "counts",
    ]);
  });

  test("trustUnsigned() counts unsigned documents only, until a key is trusted again", () => {
    const agents = new KnownAgents();
    judge(agents, signed(1));
    trustUnsigned(agents, "gpu-1");
    expect(judge(agents, unsignedState("gpu-1"), signed(2), signed(3, 1, OTHER))).toEqual([
      "counts",
      "conflict",
      "conflict",
    ]);
    trustKey(agents, "gpu-1", rawKey(MINE));
    expect(judge(agents, signed(4), unsignedState("gpu-1"))).toEqual(["counts", "unsigned"]);
  });

  test("parseGivenKey() takes the base64 and the line of gpu-agent key, and nothing else", () => {
    expect(parseGivenKey(rawKey(MINE))).toBe(rawKey(MINE));
    expect(parseGivenKey(`${publicLine(MINE, "gpu-1")}\n`)).toBe(rawKey(MINE));
    expect(parseGivenKey(MINE.id)).toBe(MINE.id);
    for (const text of ["", "ed25519", "x", `${rawKey(MINE)} gpu-1`, `rsa ${rawKey(MINE)}`])
      expect(() => parseGivenKey(text)).toThrow("not the key");
  });
});

describe("judgeResponse()", () => {
  const sent = '{"command":"ping"}';
  const request = createHash("sha256").update(sent).digest("hex");
  const response = (fields: object, key = MINE) =>
    signDocument("response", JSON.stringify({ success: true, ...fields }), key);

  test("counts any response of an agent whose key is unknown", () => {
    expect(new KnownAgents().judgeResponse("gpu-1", sent, "{}")).toBeNull();
    expect(new KnownAgents("all").judgeResponse("gpu-1", sent, "{}")).toContain("unknown");
  });

  test.each([
    ["signed, to this command", response({ request }), null],
    ["unsigned", JSON.stringify({ success: true, request }), "it is not signed, and gpu-1 signs"],
    ["signed by another key", response({ request }, OTHER), "gpu-1 has not signed it"],
    ["signed, with changed bytes", response({ request }).replace("true", "null"), "gpu-1 has not signed it"],
    ["signed, to another command", response({ request: "0".repeat(64) }), "gpu-1 signed it for another command"],
    ["signed, to no command", response({}), "gpu-1 signed it for another command"],
  ])("of an agent whose key is known: %s", (_, text, reason) => {
    const agents = new KnownAgents();
    judge(agents, signed(1));
    expect(agents.judgeResponse("gpu-1", sent, text)).toBe(reason);
    trustUnsigned(agents, "gpu-1");
    expect(agents.judgeResponse("gpu-1", sent, text)).toBeNull();
  });
});

describe("what is not stored yet", () => {
  test("is a learned key once, a position as often as it moves, and each decision", () => {
    const agents = new KnownAgents();
    judge(agents, signed(1));
    const one = { key: rawKey(MINE), status: "first use" as const, boot: 1, sequence: 1 };
    expect([...agents.unsaved("keys").learned]).toEqual([["gpu-1", one]]);
    agents.saved("all");
    judge(agents, signed(5));
    expect(agents.unsaved("keys")).toEqual({
      displaced: new Set(),
      learned: new Map(),
      decided: new Map(),
      seen: new Map(),
    });
    expect([...agents.unsaved("all").seen]).toEqual([["gpu-1", { ...one, sequence: 5 }]]);
    trustKey(agents, "gpu-1", undefined);
    expect([...agents.unsaved("keys").decided]).toEqual([["gpu-1", { ...one, status: "confirmed", sequence: 5 }]]);
  });

  test("troubles are news once for each kind", () => {
    const agents = new KnownAgents();
    judge(agents, signed(1), unsignedState("gpu-1"), signed(2, 1, OTHER), unsignedState("gpu-1"));
    expect(agents.troubles.takeNews()).toMatchObject([{ agent: "gpu-1", count: 3 }]);
    judge(agents, unsignedState("gpu-1"), signed(2, 1, OTHER));
    expect(agents.troubles.takeNews()).toEqual([]);
  });
});
