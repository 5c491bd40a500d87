// A schema that is compiled once it has been used often.
import { z } from "zod";

/** Compiling takes 15 ms in a program that has just started, and then saves a hundredth of that with each document. */
const OFTEN = 100;

/** @returns what reads a value; undefined when that does not fit the schema */
export function compiledLater<Schema extends z.ZodType>(
  schema: Schema,
): (value: unknown) => z.output<Schema> | undefined {
  let used = 0;
  let current = schema;
  return (value) => {
    used += 1;
    if (used === OFTEN) current = z.compile(schema);
    return current.safeParse(value).data;
  };
}
