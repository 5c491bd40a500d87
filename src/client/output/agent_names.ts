// Names of many agents in few words, and the flag that has them.
import { CourierError } from "../../base/errors.ts";
import { compareNames, namesText, rangesText } from "../../base/order.ts";
import { MOST_NAMED, namedIn } from "../../program/desired/named_boxes.ts";

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

/** The agents as a flag that a shell takes as it is: ` --agent gpu-2,gpu-1`, ` --agent 'gpu-[1-15]'`. */
export function agentFlag(names: readonly string[]): string {
  const text = namesText([...new Set(names)]).replaceAll(", ", ",");
  return ` --agent ${/^[\w,-]*$/.test(text) ? text : `'${text}'`}`;
}

/** A value of `--agent`, or of an argument that names agents; repeatable. @throws CourierError `invalid` */
export function parseAgents(text: string, previous: readonly string[] | undefined): string[] {
  if (/^[\s,]*$/.test(text))
    throw new CourierError("invalid", "No agent is named. Give at least one value, or omit the flag");
  const named = [...(previous ?? []), ...(namedIn(text) ?? [])];
  if (named.length > (previous?.length ?? 0) && named.length <= MOST_NAMED) return named;
  const backwards = backwardsRange(text);
  if (backwards !== undefined) throw backwards;
  throw new CourierError("invalid", `"${text.slice(0, SHOWN)}" names no agents`, {
    hint: `Give names, patterns or ranges, at most ${MOST_NAMED} names: gpu-1, 'gpu-*', 'gpu-[1-3,7]'`,
  });
}

/** The error of a range such as `5-3`; undefined: there is no such range. */
function backwardsRange(text: string): CourierError | undefined {
  for (const [range, first = "", last = ""] of text.matchAll(/(?<=[[,]\s*)(\d{1,15})-(\d{1,15})(?=\s*[\],])/g))
    if (Number(last) < Number(first))
      return new CourierError("invalid", `The range ${range} in "${text.slice(0, SHOWN)}" counts backwards`, {
        hint: `Write ${last}-${first}`,
      });
  return undefined;
}

/** Of a text that is refused. */
const SHOWN = 80;
