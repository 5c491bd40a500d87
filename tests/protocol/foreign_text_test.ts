// Texts for people in foreign documents: a reader keeps their beginning, and never refuses the document for them.
import { describe, expect, test } from "bun:test";
import { LIMITS, newPull, parseState, Response } from "#src/protocol.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";

const LONG = "x".repeat(100_000);
const CUT = "x".repeat(LIMITS.textCharacters);

describe("a text for people is cut on reading", () => {
  test("in a job", () => {
    const job = { ...newPull("a", "gpu-1", LONG), state: "failed", error: LONG, note: LONG, ended_at: LONG };
    const read = Response.parse({ success: true, jobs: [job] }).jobs?.[0];
    expect([read?.model, read?.error, read?.note]).toEqual([CUT, CUT, CUT]);
    expect(read?.ended_at?.length).toBe(64);
  });

  test("in a state, whose agent stays known", () => {
    const document = { ...sampleDocument("v2/state_degraded.json"), host: LONG, degraded_reason: LONG };
    const state = parseState("gpu-1", JSON.stringify({ ...document, agent: "gpu-1" }))?.state;
    expect(state?.host).toBe("x".repeat(LIMITS.hostCharacters));
    expect(state?.degraded_reason).toBe(CUT);
  });

  test("in a response", () => {
    const { error, hint, message } = Response.parse({ success: false, error: LONG, hint: LONG, message: LONG });
    expect([error, hint, message]).toEqual([CUT, CUT, CUT]);
  });

  test("without half of a character at its end", () => {
    const text = `${"x".repeat(LIMITS.textCharacters - 1)}\u{1f600}`;
    expect(Response.parse({ success: false, error: text }).error).toBe("x".repeat(LIMITS.textCharacters - 1));
    expect(Response.parse({ success: false, error: text.slice(1) }).error).toBe(text.slice(1));
  });
});
