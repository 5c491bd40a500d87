// The operator's labels of a box, as `--label` gives them.
import { CourierError } from "../../base/errors.ts";
import { type Labels, LIMITS } from "../../protocol.ts";

/** Of a key and of a value. It needs no quotes in a shell, a URL or a list with commas. */
const GRAMMAR = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?$/;
const HINT =
  `A label looks like site=berlin or team/owner=vision: key and value have 1 to ${LIMITS.labelCharacters} characters from ` +
  "A-Z, a-z, 0-9 and . _ / -, beginning and ending with A-Z, a-z or 0-9";

/** A value of `--label` as it was given. @throws CourierError `invalid` for what is no label */
export function parseLabel(text: string): string {
  splitLabel(text);
  return text;
}

/** @throws CourierError `invalid` when there are too many, or two with the same key */
export function readLabels(texts: readonly string[]): Labels {
  const labels = new Map<string, string>();
  for (const text of texts) {
    const [key, value] = splitLabel(text);
    const known = labels.get(key);
    if (known !== undefined && known !== value) {
      throw new CourierError("invalid", `Cannot use the labels ${key}=${known} and ${key}=${value} together`, {
        hint: "Give each key once",
      });
    }
    labels.set(key, value);
  }
  if (labels.size <= LIMITS.labels) return Object.fromEntries(labels);
  throw new CourierError("invalid", `Cannot use ${labels.size} labels: an agent has at most ${LIMITS.labels}`, {
    hint: `Omit ${labels.size - LIMITS.labels} of the --label flags`,
  });
}

function splitLabel(text: string): readonly [key: string, value: string] {
  const [key = "", value = "", ...more] = text.split("=");
  if (more.length === 0 && isLabelText(key) && isLabelText(value)) return [key, value];
  throw new CourierError("invalid", `Cannot use ${JSON.stringify(text.slice(0, 150))} as a label`, { hint: HINT });
}

function isLabelText(text: string): boolean {
  return text.length <= LIMITS.labelCharacters && GRAMMAR.test(text);
}
