// Whether a model fits the GPUs of a box, for boxes of every kind.
import { describe, expect, test } from "bun:test";
import { FIT_ASSUMPTION, type FitBox, fitOf } from "#src/program/registry/model_fit.ts";

const GB = 1e9;
/** phi4, as its manifest names it: with what is added it needs about 10.5 GB on one GPU. */
const PHI4 = 9_053_114_304;

/** @param gpus total and used, in GB; null: unknown. @param ram total and available */
function box(gpus: readonly (readonly [number | null, number | null])[], ram?: readonly [number, number]): FitBox {
  const bytes = (gigabytes: number | null): number | null => (gigabytes === null ? null : gigabytes * GB);
  return {
    gpus: gpus.map(([total, used]) => ({ memory_total_bytes: bytes(total), memory_used_bytes: bytes(used) })),
    memory: ram === undefined ? null : { total_bytes: ram[0] * GB, available_bytes: ram[1] * GB },
  };
}

const PARTLY = "fits partly: the rest runs on the CPU";

describe("fitOf()", () => {
  test.each([
    ["one large GPU", box([[24, 1]]), "fits", "fits"],
    ["one GPU that others use", box([[24, 20]], [64, 60]), "fits", PARTLY],
    ["one GPU that others use, and no memory that is free", box([[24, 20]], [64, 2]), "fits", "does not fit"],
    ["a GPU that holds the weights alone", box([[9.5, 0]], [64, 60]), PARTLY, PARTLY],
    ["a small GPU and little memory", box([[4, 0]], [4, 3]), "does not fit", "does not fit"],
    [
      "two GPUs that hold it together",
      box([
        [6, 0],
        [6, 0],
      ]),
      "fits",
      "fits",
    ],
    [
      "two GPUs, one of them in use",
      box(
        [
          [6, 0],
          [6, 5],
        ],
        [16, 12],
      ),
      "fits",
      PARTLY,
    ],
    [
      "two GPUs that only together have the sum of the weights",
      box(
        [
          [5, 0],
          [5, 0],
        ],
        [16, 9],
      ),
      PARTLY,
      PARTLY,
    ],
    ["a GPU whose use is unknown", box([[24, null]], [64, 60]), "fits", null],
  ] as const)("judges %s", (_, on, whole, now) => {
    const { verdict, verdictNow, reason } = fitOf(PHI4, on);
    expect({ verdict, verdictNow, reason }).toEqual({ verdict: whole, verdictNow: now, reason: null });
  });

  test.each([
    ["no GPU", box([], [64, 60]), "no NVIDIA GPU is known on this box"],
    [
      "memory that GPU and box share",
      box([[null, null]], [128, 100]),
      "the memory of a GPU is unknown, as where it shares that of the box",
    ],
    [
      "one of two GPUs unknown",
      box([
        [24, 0],
        [null, null],
      ]),
      "the memory of a GPU is unknown, as where it shares that of the box",
    ],
    [
      "a small GPU, and memory that cannot be read",
      box([[4, 0]]),
      "larger than its GPUs, and the memory of the box is unknown",
    ],
  ])("has no verdict with %s", (_, on, reason) => {
    expect(fitOf(PHI4, on)).toMatchObject({ verdict: null, verdictNow: null, reason });
  });

  test("has no verdict on a model without weights, as one that runs elsewhere", () => {
    const { verdict, neededBytes, reason, gpuBytes } = fitOf(null, box([[24, 1]]));
    expect({ verdict, neededBytes, reason, gpuBytes }).toEqual({
      verdict: null,
      neededBytes: null,
      reason: "its manifest names no weights",
      gpuBytes: 24 * GB,
    });
  });

  test("shows what it counts with", () => {
    expect(fitOf(PHI4, box([[24, 4]]))).toMatchObject({
      neededBytes: 10_458_425_734,
      gpuBytes: 24 * GB,
      gpuFreeBytes: 20 * GB,
    });
    expect(
      fitOf(
        PHI4,
        box([
          [6, 0],
          [6, 0],
        ]),
      ).neededBytes,
    ).toBe(10_958_425_734);
    expect(FIT_ASSUMPTION).toBe("an estimate: weights, 10 % for a context of 4096 tokens, and 500.0 MB per GPU");
  });
});
