// Texts that come from boxes, and ages, as the page shows them: always as text, never as anything else.
import type { JSX } from "preact";
import { formatAgo, formatBytes, visibleText } from "../../base/format.ts";
import { countText, localTime } from "./local_text.ts";

/** A text of a box: characters that hide or reverse what is around them are replaced. Cut at its end where there is no room. */
export function Foreign({ text, class: name = "" }: { readonly text: string; readonly class?: string }): JSX.Element {
  const shown = visibleText(text, " ");
  return (
    <span class={`foreign ${name}`} title={shown}>
      {shown}
    </span>
  );
}

/** `3 minutes ago`, with the time itself as its title. */
export function Ago({ at, nowMs }: { readonly at: string; readonly nowMs: number }): JSX.Element {
  return (
    <time dateTime={at} title={localTime(at)}>
      {formatAgo(at, nowMs)}
    </time>
  );
}

/** A size whose number can be read down a column: the unit has a width of its own. */
export function Size({ bytes }: { readonly bytes: number }): JSX.Element {
  const [number = "", unit = ""] = formatBytes(bytes).split(" ");
  return (
    <span class="size">
      {number}
      <span class="unit">{unit}</span>
    </span>
  );
}

/** `392 of 640 GB`: both in the unit of the whole. */
export function pairText(part: number, whole: number): string {
  const [number = "", unit = ""] = formatBytes(whole).split(" ");
  const scaled = whole === 0 ? 0 : (part / whole) * Number(number);
  return `${rounded(scaled)} of ${rounded(Number(number))} ${unit}`;
}

function rounded(value: number): string {
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}
