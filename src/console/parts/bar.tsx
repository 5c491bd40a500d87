// Bars: how full something is, and how far a job is.
import type { JSX } from "preact";

interface MeterProps {
  /** From 0 to 1. */
  readonly value: number;
  readonly label: string;
  readonly isWarning?: boolean;
}

export function Meter({ value, label, isWarning = false }: MeterProps): JSX.Element {
  const percent = Math.round(value * 100);
  const tone = isWarning ? "warn" : "";
  return (
    <span
      class={`bar meter ${tone}`}
      role="meter"
      aria-label={label}
      aria-valuenow={percent}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <span class="fill" style={{ width: `${percent}%` }} />
    </span>
  );
}

interface ProgressProps {
  /** From 0 to 1; null: unknown. */
  readonly value: number | null;
  readonly label: string;
  readonly isMoving: boolean;
}

export function Progress({ value, label, isMoving }: ProgressProps): JSX.Element {
  const percent = value === null ? undefined : Math.floor(value * 100);
  const shape = value === null && isMoving ? "unknown" : "";
  return (
    <span
      class={`bar progress ${shape} ${isMoving ? "" : "still"}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      {...(percent === undefined ? {} : { "aria-valuenow": percent })}
    >
      <span class="fill" style={value === null ? { width: isMoving ? "30%" : "0" } : filledTo(value)} />
    </span>
  );
}

/** Moved, not widened: the browser then draws the steps between two values without laying the page out for each of them. */
function filledTo(value: number): { readonly transform: string } {
  return { transform: `translateX(${((value - 1) * 100).toFixed(2)}%)` };
}
