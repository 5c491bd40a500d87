// Compares two sides in pairs: one sample of each in turn, so that whatever else the machine does hits both alike.
import { percentile } from "../measure.ts";
import type { Measure } from "../report.ts";

/** Takes one sample. @returns how long it took, in ms; undefined when it does not count */
export type Probe = () => Promise<number | undefined>;

export interface Pair {
  readonly floor: number;
  readonly subject: number;
}

export interface Effort {
  /** So many pairs are enough. */
  readonly pairs: number;
  /** After this time a few are enough. */
  readonly budgetMs: number;
}

const FEWEST = 5;
/** More than the pairs that count: where no pair ever counts, so many are tried. */
const MOST_UNCOUNTED = 5;

/** Either side begins every second pair. A pair counts when both samples do. */
export async function takePairs(floor: Probe, subject: Probe, { pairs, budgetMs }: Effort): Promise<Pair[]> {
  const taken: Pair[] = [];
  const startedMs = performance.now();
  const isEnough = (): boolean => {
    if (taken.length >= pairs) return true;
    return taken.length >= FEWEST && performance.now() - startedMs > budgetMs;
  };
  for (let turn = 0; !isEnough() && turn - taken.length < MOST_UNCOUNTED + taken.length; turn++) {
    const [first, second] = turn % 2 === 0 ? await inTurn(floor, subject) : (await inTurn(subject, floor)).toReversed();
    if (first !== undefined && second !== undefined) taken.push({ floor: first, subject: second });
  }
  return taken;
}

async function inTurn(first: Probe, second: Probe): Promise<(number | undefined)[]> {
  return [await first(), await second()];
}

/**
 * The percentile of either side, and their ratio; of no pairs, NaN.
 * @param share 0.5 is the median
 */
export function comparePairs(
  pairs: readonly Pair[],
  share: number,
): Required<Pick<Measure, "unit" | "value" | "floor" | "ratio">> {
  const of = (side: "floor" | "subject"): number =>
    percentile(
      pairs.map((pair) => pair[side]),
      share,
    );
  return { unit: "ms", value: of("subject"), floor: of("floor"), ratio: of("subject") / of("floor") };
}
