// What show_model returns of a model: all that Ollama shows of it, as far as a response holds.
import { describe, expect, test } from "bun:test";
import { shownDetails } from "#src/agent/models/shown.ts";
import { LIMITS, type ModelDetails, Response } from "#src/protocol.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";

const { show } = Response.parse(sampleDocument("v2/response_show_model_more.json"));
const ALL: ModelDetails = show ?? expect.unreachable();

function bytesOf(details: unknown): number {
  return Buffer.byteLength(JSON.stringify(details));
}

describe("shownDetails()", () => {
  test("returns all that Ollama shows, and nothing that it does not", () => {
    expect(shownDetails(ALL)).toEqual(ALL);
    expect(JSON.parse(JSON.stringify(shownDetails({ license: "MIT" })))).toEqual({ license: "MIT" });
  });

  test.each(["x", "\u00e9", "\u0001", "\u{1F600}"])("fits into a response when everything is full of %j", (char) => {
    const many = (value: string): Record<string, string> =>
      Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`key-${i}`, value]));
    const text = char.repeat(1_000_000);
    const full = shownDetails({
      details: many(char.repeat(600)),
      capabilities: Array<string>(10_000).fill(char.repeat(100)),
      parameters: text,
      template: text,
      license: text,
      model_info: many(char.repeat(600)),
      requires: char.repeat(200),
      system: text,
      messages: Array.from({ length: 10_000 }, () => ({ role: "user", content: char.repeat(1000) })),
      projector_info: many(char.repeat(600)),
      modelfile: text,
    });
    expect(bytesOf(full)).toBeWithin(2_000_000, LIMITS.responseBytes - 64 * 1024);
    expect(full.license?.length).toBeGreaterThan(100_000);
  });

  test("cuts the newer fields before those that every reader knows", () => {
    const text = "\u0001".repeat(1_000_000);
    const fields = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`key-${i}`, "x".repeat(600)]));
    const known = { parameters: text, template: text, license: text, model_info: fields };
    const full = shownDetails({ ...known, projector_info: fields, system: text, modelfile: text });
    const cut = shownDetails(known);
    expect([full.license === cut.license, bytesOf(full.model_info) === bytesOf(cut.model_info)]).toEqual([true, true]);
    expect(full.modelfile?.length).toBeWithin(1, full.license?.length ?? 0);
  });

  test("keeps the messages that fit, from the first one on", () => {
    const messages = Array.from({ length: 100 }, (_, i) => ({ role: "user", content: `${i} ${"x".repeat(100_000)}` }));
    const kept = shownDetails({ messages }).messages ?? [];
    expect(kept.length).toBeWithin(5, 20);
    expect(kept).toEqual(messages.slice(0, kept.length));
  });
});

describe("a reader of show", () => {
  test("leaves out what it does not understand of the newer fields", () => {
    const odd = { requires: 7, system: {}, messages: [{ role: "user" }], projector_info: [], modelfile: null };
    const response = { success: true, show: { license: "MIT", ...odd, renderer: "x".repeat(201) } };
    expect(JSON.parse(JSON.stringify(Response.parse(response).show))).toEqual({ license: "MIT" });
  });
});
