// Metrics as Prometheus reads them: its text format, version 0.0.4.
import { replaceInvisible } from "../../base/invisible.ts";
import { FAMILIES, METRIC_NAMES, type MetricName } from "./families.ts";

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Of one value of a label. A box may name its models as it likes, and each scrape repeats the names. */
const MAX_CHARACTERS = 128;
/** Most values: for these the pattern below takes a large part of a scrape. */
const PLAIN = /^[ !#-[\]-~]*$/;
/** In a label's value: what ends it, and what no reader shows. */
const SPECIAL = /["\\\p{C}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/u;

/** Collects the series of each metric, which must follow each other. */
export class MetricsText {
  readonly #lines = new Map<MetricName, string[]>();

  /** @param labels from `labelsOf()`; each only once for a metric */
  add(name: MetricName, labels: string, value: number | boolean): void {
    this.#of(name).push(`${name}{${labels}} ${formatValue(Number(value))}`);
  }

  /** One without labels. */
  addOne(name: MetricName, value: number | boolean): void {
    this.#of(name).push(`${name} ${formatValue(Number(value))}`);
  }

  /** Lines that are written already: those of a histogram. */
  addLines(name: MetricName, lines: readonly string[]): void {
    if (lines.length > 0) this.#of(name).push(...lines);
  }

  /** Metrics without a series are left out. */
  toString(): string {
    return METRIC_NAMES.map((name) => {
      const lines = this.#lines.get(name);
      if (lines === undefined) return "";
      const { help, type } = FAMILIES[name];
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("\n")}\n`;
    }).join("");
  }

  #of(name: MetricName): string[] {
    const known = this.#lines.get(name);
    if (known !== undefined) return known;
    const lines: string[] = [];
    this.#lines.set(name, lines);
    return lines;
  }
}

/** `agent="gpu-1",gpu="0"`. The names are ours; a value may be anything: it is cut and escaped. */
export function labelsOf(values: Readonly<Record<string, string>>): string {
  let text = "";
  for (const name in values) text += `${text === "" ? "" : ","}${name}="${escaped(values[name] ?? "")}"`;
  return text;
}

export function formatValue(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

/** As a label's value shows a text: values that are equal here would be one series twice. */
export function escaped(text: string): string {
  const short = text.length > MAX_CHARACTERS ? text.slice(0, MAX_CHARACTERS) : text;
  if (PLAIN.test(short) || !SPECIAL.test(short)) return short;
  return replaceInvisible(short.toWellFormed().replaceAll("\n", " "), "?")
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"');
}
