// A small chart of the bytes of a job over time.
import type { JSX } from "preact";
import { formatBytes, formatDuration } from "../../base/format.ts";
import type { Sample } from "../store/pace.ts";

interface ByteChartProps {
  readonly samples: readonly Sample[];
  /** The upper edge; null: the most that was seen. */
  readonly totalBytes: number | null;
  readonly width: number;
  readonly height: number;
}

export function ByteChart({ samples, totalBytes, width, height }: ByteChartProps): JSX.Element | null {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || last.atMs === first.atMs) return null;
  const top = Math.max(1, totalBytes ?? 0, ...samples.map(({ bytes }) => bytes));
  const x = (atMs: number): string => (((atMs - first.atMs) / (last.atMs - first.atMs)) * width).toFixed(1);
  const y = (bytes: number): string => (1.5 + (1 - bytes / top) * (height - 3)).toFixed(1);
  const line = samples.map(({ atMs, bytes }) => `${x(atMs)} ${y(bytes)}`).join("L");
  const took = formatDuration((last.atMs - first.atMs) / 1000);
  return (
    <svg
      class="byte-chart"
      viewBox={`0 0 ${width} ${height}`}
      width={width}
      height={height}
      preserveAspectRatio="none"
      role="img"
      aria-label={`From ${formatBytes(first.bytes)} to ${formatBytes(last.bytes)} in ${took}`}
    >
      <path class="area" d={`M${line}L${width} ${height}L0 ${height}Z`} />
      <path class="line" d={`M${line}`} />
    </svg>
  );
}
