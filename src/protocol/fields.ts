// The kinds of fields in the protocol's documents: which may be missing, be null, or hold what a reader does not understand.
import { z } from "zod";

/** Stands for an entry that the reader does not understand, until the list leaves it out. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a schema's fallback must be of its type, and this one never gets out
const SKIPPED = Symbol("skipped") as never;

/** A field that may be missing. Null counts as missing: some writers put it into each field that they do not use. */
export function maybe<Schema extends z.ZodType>(schema: Schema) {
  return schema
    .nullable()
    .transform((value) => value ?? undefined)
    .optional();
}

/** A field that version 1 does not have. Null counts as missing here too. */
export const absent = z
  .null()
  .transform(() => undefined)
  .optional();

/** Removes null from each field that may be missing and has no other use for null. */
function nullRemover(schema: z.ZodObject): (value: unknown) => unknown {
  const mayBeMissing = Object.entries(schema.shape)
    .filter(([, field]) => z.safeParse(field, undefined).success && !z.safeParse(field, null).success)
    .map(([name]) => name);
  return (value) => {
    if (!isRecord(value) || !mayBeMissing.some((name) => value[name] === null)) return value;
    return Object.fromEntries(
      Object.entries(value).filter(([name, field]) => field !== null || !mayBeMissing.includes(name)),
    );
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An object in which null counts as missing for each field that may be missing and has no other use for null. */
export function object<Shape extends z.ZodRawShape>(schema: z.ZodObject<Shape>) {
  return z.preprocess(nullRemover(schema), schema);
}

/**
 * A list whose reader skips the entries that it does not understand. Otherwise one entry of a later release would make
 * the whole document unreadable, and its agent would seem to be silent. That is what release 0.1.0 does, so a document
 * must still not contain a new `kind`, `state` or `code` of a job.
 */
export function list<Shape extends z.ZodRawShape>(entry: z.ZodObject<Shape>) {
  const withoutNulls = nullRemover(entry);
  const known = z.array(entry.catch(SKIPPED)).overwrite((entries) => entries.filter((each) => each !== SKIPPED));
  return z.preprocess((value) => (Array.isArray(value) ? value.map(withoutNulls) : value), known);
}

/**
 * A field that is worth less than the entry or document it is in: a value that the reader does not understand counts as
 * missing. New fields are of this kind.
 */
export function extra<Schema extends z.ZodType>(schema: Schema) {
  return schema.optional().catch(undefined);
}
