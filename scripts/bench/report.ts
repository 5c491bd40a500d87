// The measured figures against their targets, as a table or one JSON document.
import { arch, cpus, platform } from "node:os";
import { formatTable } from "#src/client/output/table.ts";

export interface Measure {
  readonly name: string;
  readonly unit: "ms" | "/s" | "MB" | "MB/s" | "%" | "";
  readonly value: number;
  /** The same of the floor. */
  readonly floor?: number;
  /** Of the value to the floor, or to what the name says. */
  readonly ratio?: number;
  readonly target?: Target;
}

export interface Target {
  readonly of: "ratio" | "value";
  readonly most?: number;
  readonly least?: number;
  /** A value this much above the floor is good too, whatever the ratio. */
  readonly orMoreBy?: number;
}

/** A ratio off its target fails the run; an absolute figure, which depends on the machine, is only printed. */
export type Result = "ok" | "FAIL" | "over" | "";

export function resultOf({ value, floor = Number.NaN, ratio, target }: Measure): Result {
  if (target === undefined) return "";
  if (target.orMoreBy !== undefined && value <= floor + target.orMoreBy) return "ok";
  const judged = target.of === "ratio" ? (ratio ?? Number.NaN) : value;
  const { most = Number.POSITIVE_INFINITY, least = Number.NEGATIVE_INFINITY } = target;
  if (judged <= most && judged >= least) return "ok";
  return target.of === "ratio" ? "FAIL" : "over";
}

export function formatReport(measures: readonly Measure[]): string {
  const rows = measures.map((measure) => [
    measure.name,
    formatNumber(measure.value, measure.unit),
    measure.floor === undefined ? "" : formatNumber(measure.floor, measure.unit),
    formatMore(measure),
    measure.ratio === undefined ? "" : formatRatio(measure.ratio),
    formatTarget(measure),
    resultOf(measure),
  ]);
  const right = ["VALUE", "FLOOR", "MORE BY", "RATIO"].map((title) => ({ title, align: "right" as const }));
  return formatTable([{ title: "MEASURE" }, ...right, { title: "TARGET" }, { title: "RESULT" }], rows, Infinity);
}

export function formatJson(measures: readonly Measure[]): string {
  const machine = { platform: platform(), arch: arch(), cores: cpus().length, bun: Bun.version };
  const judged = measures.map((measure) => ({
    ...measure,
    difference: differenceOf(measure),
    result: resultOf(measure),
  }));
  return `${JSON.stringify({ machine, measures: judged }, null, 2)}\n`;
}

/** Of a time to the floor's. A difference of rates means nothing to a reader. */
function differenceOf({ unit, value, floor }: Measure): number | undefined {
  return unit !== "ms" || floor === undefined ? undefined : value - floor;
}

function formatMore(measure: Measure): string {
  const difference = differenceOf(measure);
  return difference === undefined ? "" : formatNumber(difference, measure.unit);
}

function formatRatio(ratio: number): string {
  return Number.isNaN(ratio) ? "none" : ratio.toFixed(2);
}

function formatNumber(value: number, unit: string): string {
  if (Number.isNaN(value)) return "none";
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return unit === "/s" ? `${value.toFixed(0)}/s` : `${value.toFixed(digits)} ${unit}`.trim();
}

function formatTarget({ unit, target }: Measure): string {
  if (target === undefined) return "";
  const [word, bound] = target.most === undefined ? ["at least", target.least] : ["at most", target.most];
  const shown = Number((bound ?? 0).toFixed(2));
  const or = target.orMoreBy === undefined ? "" : `, or ${target.orMoreBy} ${unit} more`;
  return target.of === "ratio" ? `ratio ${word} ${shown}${or}` : `${word} ${shown} ${unit}`.trim();
}
