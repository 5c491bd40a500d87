// Describes the faults of a request in words for the person who wrote it.
import { z } from "zod";
import { CourierError } from "../../base/errors.ts";
import { nearest } from "./nearest.ts";

type Issue = z.core.$ZodIssue;

const KINDS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};
const MAX_SHOWN = 80;

/** An object of a request that takes no other fields. @param what a field is called: `query parameter` */
export function only<const Shape extends z.ZodRawShape>(shape: Shape, what: string) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: ({ code, keys }) => {
      if (code !== "unrecognized_keys" || !Array.isArray(keys)) return undefined;
      return keys.map((key) => unknownField(key, known, what)).join("; ");
    },
  });
}

/**
 * Everything that a schema found, as one error.
 * @param value what was checked
 * @param whole what the value is called: `the body`
 */
export function asInvalid({ issues }: Pick<z.core.$ZodError, "issues">, value: unknown, whole: string): CourierError {
  const unknown = issues.filter(({ code }) => code === "unrecognized_keys");
  const faults = [...unknown, ...issues].map((issue) => sentence(issue, value, whole));
  return new CourierError("invalid", startingLarge([...new Set(faults)].join("; ")));
}

function unknownField(key: string, known: readonly string[], what: string): string {
  const meant = nearest(key, known);
  const taken = known.length === 0 ? "none is taken here" : `known are ${known.join(", ")}`;
  return `unknown ${what} ${JSON.stringify(key.slice(0, MAX_SHOWN))}: ${meant === undefined ? taken : `did you mean "${meant}"?`}`;
}

function sentence(issue: Issue, value: unknown, whole: string): string {
  const { path, code, message } = issue;
  if (code === "unrecognized_keys" || code === "custom") return message;
  const part = path.reduce<unknown>(partOf, value);
  if (Array.isArray(part) && whole === "the query") return `${path.join(".")} may be given once`;
  return `${path.length === 0 ? whole : path.join(".")} ${predicate(issue, part)}`;
}

/** The words of our schemas begin in lower case, those of zod do not. */
function predicate(issue: Issue, value: unknown): string {
  if (value === undefined) return "is missing";
  if (/^[a-z]/.test(issue.message)) return issue.message;
  const { code } = issue;
  if (code === "invalid_type") return `must be ${KINDS[issue.expected] ?? "of another kind"}`;
  if (code === "invalid_value") return `must be ${oneOf(issue.values.map(String))}`;
  if (code === "too_small") return `must ${bound(issue.origin, "at least", Number(issue.minimum))}`;
  if (code === "too_big") return `must ${bound(issue.origin, "at most", Number(issue.maximum))}`;
  if (code !== "invalid_format") return "cannot be used";
  return issue.format === "datetime" ? "must be a time such as 2026-01-31T12:00:00Z" : "has another form";
}

function oneOf(values: readonly string[]): string {
  return values.length < 3 ? values.join(" or ") : `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`;
}

function bound(origin: string, than: "at least" | "at most", count: number): string {
  if (origin === "string" && than === "at least" && count === 1) return "not be empty";
  if (origin === "string") return `have ${than} ${count} characters`;
  if (origin === "array") return `have ${than} ${count} ${count === 1 ? "entry" : "entries"}`;
  return `be ${than} ${count}`;
}

function partOf(value: unknown, key: PropertyKey): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}

/** The name of a field stays as it is. */
function startingLarge(text: string): string {
  return text.replace(/^(?:unknown|the) /, (word) => word.charAt(0).toUpperCase() + word.slice(1));
}
