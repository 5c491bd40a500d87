// src/base/sightings: which agents count as alive, whatever the clocks of other machines say.
import { beforeEach, describe, expect, test } from "bun:test";
import { Sightings } from "#src/base/sightings.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

const SILENT_MS = 20_000;

let clock: ManualClock;
/** The transport's clock minus the monotonic one. */
let transportAheadMs: number;
let sightings: Sightings<string>;
beforeEach(() => {
  clock = new ManualClock();
  transportAheadMs = 0;
  sightings = new Sightings({
    clock,
    transport: { now: () => clock.monotonic() + transportAheadMs },
    silentMs: SILENT_MS,
    parse: (agent, text, last) => {
      if (text === "half") return agent === "gpu" ? last : undefined;
      return text.toUpperCase();
    },
  });
});

/** Records a document. By default it was published and read at this moment. */
function see(agent: string, text: string, publishedAtMs = clock.monotonic(), readAtMs = clock.monotonic()): boolean {
  return sightings.see({ agent, content: { text }, publishedAtMs }, readAtMs);
}

function liveAgents(): string[] {
  return sightings.live().map(({ agent }) => agent);
}

describe("see()", () => {
  test("returns whether the document is a new one", () => {
    expect([see("gpu-1", "a"), see("gpu-1", "a"), see("gpu-1", "b"), see("gpu-2", "b")]).toEqual([
      true,
      false,
      true,
      true,
    ]);
    expect(sightings.of("gpu-1")).toMatchObject({ agent: "gpu-1", document: "B", silentMs: 0, isLive: true });
  });

  test("judges the first document by its age on the transport's clock", async () => {
    await clock.advance(60_000);
    see("gpu-1", "a", clock.monotonic() - 19_999);
    see("gpu-2", "a", clock.monotonic() - 20_000);
    // A document from the future counts as published at this moment.
    see("gpu-3", "a", clock.monotonic() + 3_600_000);
    expect(liveAgents()).toEqual(["gpu-1", "gpu-3"]);
    await clock.advance(1);
    expect(liveAgents()).toEqual(["gpu-3"]);
  });

  test("judges later documents by their changes, even if the transport's clock is an hour off", async () => {
    transportAheadMs = 3_600_000;
    see("gpu-1", "a", 0);
    expect(liveAgents()).toEqual([]);
    await clock.advance(5_000);
    see("gpu-1", "b", clock.monotonic());
    expect(sightings.of("gpu-1")?.silentMs).toBe(5_000);
    expect(liveAgents()).toEqual(["gpu-1"]);
  });

  test("counts a change from the start of the previous reading, however long that took", async () => {
    transportAheadMs = 3_600_000;
    const begunAtMs = clock.monotonic();
    await clock.advance(15_000);
    see("gpu-1", "a", 0, begunAtMs);
    await clock.advance(1_000);
    see("gpu-1", "b", 0);
    expect(sightings.of("gpu-1")?.silentMs).toBe(16_000);
  });

  test("keeps the last document when the present one cannot be read", async () => {
    see("gpu-1", "a");
    await clock.advance(10_000);
    expect(see("gpu-1", "half")).toBe(false);
    expect(sightings.see({ agent: "gpu-1", content: { refused: "too large" }, publishedAtMs: 0 }, 0)).toBe(false);
    expect(sightings.of("gpu-1")).toMatchObject({ document: "A", silentMs: 10_000 });
    expect(see("gpu-2", "half")).toBe(false);
    expect(sightings.of("gpu-2")).toBeUndefined();
  });

  test("takes a half-written document as a sign of life if the parser does", async () => {
    see("gpu", "a");
    await clock.advance(19_000);
    expect(see("gpu", "half")).toBe(true);
    await clock.advance(19_000);
    expect(sightings.of("gpu")).toMatchObject({ document: "A", silentMs: 19_000, isLive: true });
  });
});

test("keepOnly() forgets the agents whose documents are gone", async () => {
  for (const agent of ["gpu-1", "gpu-2", "gpu-3"]) see(agent, "a");
  sightings.keepOnly(new Set(["gpu-2", "gpu-9"]));
  expect(sightings.all().map(({ agent }) => agent)).toEqual(["gpu-2"]);
  // An agent that comes back is judged by its age again.
  await clock.advance(30_000);
  see("gpu-1", "a", 0);
  expect(sightings.of("gpu-1")?.isLive).toBe(false);
});

test("looked() forgets the silent agents without a document, and keeps one that a listing missed for a moment", async () => {
  for (const agent of ["gpu-1", "gpu-2", "gpu-3"]) see(agent, "a");
  await clock.advance(19_999);
  sightings.looked(new Set(["gpu-3"]), clock.monotonic());
  expect(liveAgents()).toEqual(["gpu-1", "gpu-2", "gpu-3"]);
  await clock.advance(1);
  sightings.looked(new Set(["gpu-3"]), clock.monotonic());
  expect(sightings.all().map(({ agent }) => agent)).toEqual(["gpu-3"]);
});

test("looked() counts as a reading of the documents that have not changed", async () => {
  transportAheadMs = 3_600_000;
  see("gpu-1", "a", 0);
  await clock.advance(15_000);
  sightings.looked(new Set(["gpu-1"]), clock.monotonic());
  await clock.advance(1_000);
  see("gpu-1", "b", 0);
  expect(sightings.of("gpu-1")?.silentMs).toBe(1_000);
});
