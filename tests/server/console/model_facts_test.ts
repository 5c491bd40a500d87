// What the console shows of models before somebody pulls or deletes one.
import { describe, expect, test } from "bun:test";
import { type FleetModel, freedOn, whereText } from "#src/console/models/facts/model_facts.ts";
import { bytesIn, roomOn, verdictOf, verdictOn } from "#src/console/models/facts/room.ts";
import type { AgentDocument } from "#src/documents/agents.ts";
import { jobDocument } from "#src/documents/jobs.ts";
import { newPull } from "#src/protocol.ts";

function model(name: string, digest: string, size: number, agents: readonly string[]): FleetModel {
  return { name, digest, size, modified_at: "2026-11-20T10:00:00Z", agents: [...agents] };
}

describe("freedOn()", () => {
  const phi = model("phi4:latest", "a", 9, ["gpu-1", "gpu-2"]);
  const copy = model("phi4:backup", "a", 9, ["gpu-1"]);
  const other = model("gemma3:4b", "b", 3, ["gpu-1"]);
  const all = [phi, copy, other];

  test("a model with a second name on the box frees nothing there, and names it", () => {
    expect(freedOn("gpu-1", [phi], all)).toEqual({ bytes: 0, keptBy: ["phi4:backup"] });
    expect(freedOn("gpu-2", [phi], all)).toEqual({ bytes: 9, keptBy: [] });
  });

  test("both names together free the model once", () => {
    expect(freedOn("gpu-1", [phi, copy, other], all)).toEqual({ bytes: 12, keptBy: [] });
    expect(freedOn("gpu-2", [copy, other], all)).toEqual({ bytes: 0, keptBy: [] });
  });
});

test("roomOn() leaves out what active pulls of the box still need", () => {
  const disk = { path: "/models", free_bytes: 100, total_bytes: 1000 };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the fields that it reads
  const box = { agent: "gpu-1", disk } as AgentDocument;
  const job = (agent: string, state: "running" | "failed", completed: number) =>
    jobDocument({ ...newPull("1", agent, "phi4"), state, total_bytes: 60, completed_bytes: completed });
  expect(roomOn(box, [job("gpu-1", "running", 20), job("gpu-2", "running", 0), job("gpu-1", "failed", 0)])).toBe(60);
  expect(
    roomOn(
      box,
      Array.from({ length: 3 }, () => job("gpu-1", "running", 0)),
    ),
  ).toBe(0);
  expect(roomOn({ ...box, disk: null }, [])).toBeNull();
});

test("bytesIn() reads the sizes of the catalog, and nothing else", () => {
  const texts = ["9.1 GB", "274 MB", "300 kB", "1.2 TB", "about 5 GB", "", "GB", "5"];
  expect(texts.map(bytesIn)).toEqual([9.1e9, 274e6, 300e3, 1.2e12, null, null, null, null]);
});

test("verdictOf() is no verdict where a figure is unknown", () => {
  expect(verdictOf(5e9, 7e9)).toEqual({ fits: true, words: "fits, leaves 2.0 GB" });
  expect(verdictOf(9e9, 7e9)).toEqual({ fits: false, words: "too large, 2.0 GB missing" });
  expect([verdictOf(null, 7e9), verdictOf(5e9, null)].map(({ fits }) => fits)).toEqual([null, null]);
});

test("verdictOn() names the figure of the box that decides", () => {
  const [large, small, tiny] = [
    { name: "gpu-1", room: 20e9 },
    { name: "gpu-2", room: 7e9 },
    { name: "gpu-3", room: 1e9 },
  ];
  expect(verdictOn(5e9, [large])).toEqual({ fits: true, words: "fits, leaves 15.0 GB free" });
  expect(verdictOn(5e9, [large, small]).words).toBe("fits, leaves at least 2.0 GB free");
  expect(verdictOn(9e9, [small])).toEqual({ fits: false, words: "too large, 2.0 GB missing" });
  expect(verdictOn(9e9, [large, small])).toEqual({ fits: false, words: "too large for gpu-2, 2.0 GB missing" });
  expect(verdictOn(9e9, [large, small, tiny]).words).toBe("too large for gpu-[2-3], up to 8.0 GB missing");
  const unknown = { name: "gpu-4", room: null };
  expect(
    [verdictOn(5e9, []), verdictOn(null, [large]), verdictOn(5e9, [large, unknown])].map((each) => each.fits),
  ).toEqual([null, null, null]);
  expect(verdictOn(9e9, [small, unknown]).words).toBe("too large for gpu-2, 2.0 GB missing");
});

test("whereText() is short for any number of boxes", () => {
  const many = Array.from({ length: 400 }, (_, index) => `gpu-${index + 1}`);
  expect(whereText(many)).toBe("gpu-[1-400]");
  const words = Array.from({ length: 26 }, (_, index) => `box-${String.fromCodePoint(97 + index)}`);
  expect(whereText(words, 20)).toBe("box-a, box-b, box-c, …");
});
