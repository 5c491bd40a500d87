// Counts durations by how long they were, for each set of labels.

import type { MetricName } from "./families.ts";
import { formatValue, labelsOf, type MetricsText } from "./text.ts";

interface Series {
  readonly labels: string;
  /** For each bound, the durations up to it and above the one before; the last one has the rest. */
  readonly counts: number[];
  sum: number;
  count: number;
}

/** Labels have few values: more sets than this are a mistake, and are not counted. */
const MOST_SERIES = 1_000;

export class Histogram {
  readonly #name: MetricName;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  /** @param bounds in seconds, in order */
  constructor(name: MetricName, bounds: readonly number[]) {
    this.#name = name;
    this.#bounds = bounds;
  }

  observe(values: Readonly<Record<string, string>>, seconds: number): void {
    const series = this.#of(labelsOf(values));
    if (series === undefined) return;
    const at = this.#bounds.findIndex((bound) => seconds <= bound);
    const place = at < 0 ? this.#bounds.length : at;
    series.counts[place] = (series.counts[place] ?? 0) + 1;
    series.sum += seconds;
    series.count += 1;
  }

  writeTo(text: MetricsText): void {
    for (const series of this.#series.values()) text.addLines(this.#name, this.#linesOf(series));
  }

  #of(labels: string): Series | undefined {
    const known = this.#series.get(labels);
    if (known !== undefined || this.#series.size >= MOST_SERIES) return known;
    const series = { labels, counts: Array.from({ length: this.#bounds.length + 1 }, () => 0), sum: 0, count: 0 };
    this.#series.set(labels, series);
    return series;
  }

  #linesOf({ labels, counts, sum, count }: Series): string[] {
    let below = 0;
    const buckets = [...this.#bounds, Number.POSITIVE_INFINITY].map((bound, index) => {
      below += counts[index] ?? 0;
      return `${this.#name}_bucket{${labels},le="${formatValue(bound)}"} ${below}`;
    });
    return [...buckets, `${this.#name}_sum{${labels}} ${formatValue(sum)}`, `${this.#name}_count{${labels}} ${count}`];
  }
}
