// src/base/state_text: which changes of a state document matter.
import { describe, expect, test } from "bun:test";
import { movedFar, takeApart } from "#src/base/state_text.ts";
import { signDocument } from "#src/trust/signature.ts";
import { sampleText } from "#tests/support/wire_samples.ts";
import { testKey } from "#tests/trust/test_key.ts";

const GIB = 1024 ** 3;
const STATE = JSON.parse(sampleText("v2/state.json"));
const textOf = (change: object): string => JSON.stringify({ ...STATE, ...change });
const restOf = (change: object): string => takeApart(textOf(change)).rest;

describe("takeApart()", () => {
  test("leaves out what changes with each publication, in either style of JSON", () => {
    const later = { timestamp: "2030-01-01T00:00:00Z", sequence: 9e9, processed_commands: 77, refused_commands: 5 };
    const moved = { ollama: { ...STATE.ollama, checked_at: "2030-01-01T00:00:00Z" }, clock_offset_ms: -12.5 };
    expect(restOf({ ...later, ...moved })).toBe(restOf({}));
    const spaced = (sequence: number): string =>
      `{"sequence" : ${sequence}, "timestamp": "t${sequence}", "agent": "gpu-1"}`;
    expect(takeApart(spaced(1)).rest).toBe(takeApart(spaced(2)).rest);
  });

  test("leaves out the signature and the time of publication, and nothing that only looks like them", () => {
    const signed = (published_at_ms: number): string =>
      signDocument("state", textOf({ boot: 1, published_at_ms, foreign_states: published_at_ms }), testKey());
    expect(takeApart(signed(1)).rest).toBe(takeApart(signed(2)).rest);
    const decoy = (end: string): string => takeApart(signed(1).replace(/\}$/, end)).rest;
    expect(decoy(',"agent":"a"}')).not.toBe(decoy(',"agent":"b"}'));
  });

  test.each([
    ["the status", { status: "draining" }],
    ["a model", { models: [...STATE.models].slice(1) }],
    ["a job", { jobs: [] }],
    ["a figure that was unknown", { ollama: { ...STATE.ollama, checked_at: null } }],
    ["the size of the disk", { disk: { ...STATE.disk, total_bytes: 5 } }],
  ])("keeps %s", (_, change) => {
    expect(restOf(change)).not.toBe(restOf({}));
  });

  test("is not deceived by the name of a field in a text", () => {
    const named = (name: string): string => takeApart(JSON.stringify({ models: [{ name }] })).rest;
    expect(named('"sequence":1')).not.toBe(named('"sequence":2'));
    expect(named('x","sequence":1,"y":"')).not.toBe(named('x","sequence":2,"y":"'));
  });
});

describe("movedFar()", () => {
  const isFar = (before: object, after: object, diskBytes = 100 * GIB): boolean =>
    movedFar(takeApart(textOf(before)).figures, takeApart(textOf(after)).figures, diskBytes);
  const disk = (free_bytes: number) => ({ disk: { ...STATE.disk, free_bytes } });
  const gpu = (memory_used_bytes: number) => ({ gpus: [{ ...STATE.gpus[0], memory_used_bytes }] });

  test.each([
    ["1 % of the disk", disk(50 * GIB), disk(49 * GIB), disk(48.9 * GIB)],
    ["256 MiB of GPU memory", gpu(GIB), gpu(1.25 * GIB), gpu(1.26 * GIB)],
    ["100 ms of the clock", { clock_offset_ms: 0 }, { clock_offset_ms: -100 }, { clock_offset_ms: -101 }],
  ])("is true beyond %s", (_, before, near, far) => {
    expect([isFar(before, before), isFar(before, near), isFar(before, far)]).toEqual([false, false, true]);
  });
});
