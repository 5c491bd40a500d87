// Names of many agents in few words.
import { compareNames } from "../../base/order.ts";

/** So few are named one by one. */
const FEW = 3;

/**
 * The agents of which something holds, in the clearest words for the available room: names, `all`, `all but gpu-3`,
 * `gpu-[4-15]`, `13 of 15`.
 * @param names those meant
 * @param listed all that could be meant
 * @param room in columns
 */
export function agentsText(names: readonly string[], listed: readonly string[], room: number): string {
  const inOrder = names.toSorted(compareNames);
  if (room === Number.POSITIVE_INFINITY) return inOrder.join(", ");
  const missing = listed.filter((name) => !names.includes(name));
  const short = inOrder.join(", ");
  if (listed.length <= FEW && short.length <= room) return short;
  if (missing.length === 0 && names.length > 1) return "all";
  const texts = [
    ...(missing.length <= FEW && names.length > FEW ? [`all but ${missing.toSorted(compareNames).join(", ")}`] : []),
    short,
    rangesText(names),
  ];
  return texts.find((text) => text.length <= room) ?? `${names.length} of ${listed.length}`;
}

/** `gpu-[1-3,7], rack-a`: runs of numbers in brackets, in order. */
export function rangesText(names: readonly string[]): string {
  const groups = new Map<string, string[]>();
  for (const name of names.toSorted(compareNames)) {
    const [, stem = name, number = ""] = /^(.*?)(\d*)$/s.exec(name) ?? [];
    // Without a number a name is a group of its own.
    const key = number === "" ? `${stem} ` : stem;
    groups.set(key, [...(groups.get(key) ?? []), number]);
  }
  return [...groups].map(([key, numbers]) => groupText(key.trimEnd(), numbers)).join(", ");
}

function groupText(stem: string, numbers: readonly string[]): string {
  const [only = ""] = numbers;
  if (numbers.length === 1) return stem + only;
  const runs: [first: string, last: string][] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run !== undefined && follows(run[1], number)) run[1] = number;
    else runs.push([number, number]);
  }
  return `${stem}[${runs.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join(",")}]`;
}

/** `09` and `10` are a run, `9` and `010` are not. */
function follows(last: string, next: string): boolean {
  const isPadded = last.startsWith("0") || next.startsWith("0");
  return last !== "" && Number(next) === Number(last) + 1 && (!isPadded || last.length === next.length);
}
