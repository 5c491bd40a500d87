// src/protocol/compiled_later.ts: what a compiled schema reads is what the schema itself reads.
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { compiledLater } from "#src/protocol/compiled_later.ts";
import { newPull, State } from "#src/protocol.ts";
import { sampleDocument, samplePaths } from "#tests/support/wire_samples.ts";

const STATES = samplePaths("v2").filter((path) => path.includes("/state"));
const ODD: readonly unknown[] = [null, undefined, true, -1, 0.5, 1e300, "", "x".repeat(1001), [], [null, 1], {}];
const Parts = z.union([z.record(z.string(), z.unknown()), z.array(z.unknown())]);

/** The value with each of its parts replaced by each odd one. */
function* oddOnes(value: unknown): Generator {
  const parts = Parts.safeParse(value).data;
  if (parts === undefined) return;
  for (const [key, part] of Object.entries(parts)) {
    const others = [...ODD, ...oddOnes(part)];
    for (const other of others)
      yield Array.isArray(parts) ? parts.with(Number(key), other) : { ...parts, [key]: other };
  }
}

/** It has been used so often that it is compiled. */
function compiledState(): (value: unknown) => State | undefined {
  const read = compiledLater(State);
  for (let used = 0; used < 1000; used++) read(sampleDocument("v2/state.json"));
  return read;
}

describe("a schema that is used often", () => {
  const read = compiledState();

  test.each(STATES)("reads %s as before, and with anything odd in it", (path) => {
    const document = { ...sampleDocument(path), unknown: 1, jobs: [newPull("id", "gpu-1", "phi4")] };
    const texts: [string | undefined, string | undefined][] = [];
    for (const odd of [document, ...oddOnes(document)])
      texts.push([JSON.stringify(read(odd)), JSON.stringify(State.safeParse(odd).data)]);
    expect(texts.length).toBeGreaterThan(300);
    expect(texts.filter(([compiled, plain]) => compiled !== plain)).toEqual([]);
    expect(texts.filter(([compiled]) => compiled === undefined).length).toBeGreaterThan(100);
  });
});
