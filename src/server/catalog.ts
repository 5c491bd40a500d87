// What one might pull, for the platform's page. Imports node:fs, zod and errors.
import { readFileSync } from "node:fs";
import { z } from "zod";
import { CourierError } from "../base/errors.ts";
import builtIn from "./catalog.json" with { type: "json" };

/** `size` is for people: what the registry shows. */
export const Catalog = z.object({
  models: z.array(z.object({ name: z.string().min(1), description: z.string(), size: z.string() })),
});
export type Catalog = z.infer<typeof Catalog>;

/**
 * @param path the operator's own file; undefined: the built-in one
 * @throws CourierError `invalid` when the file cannot be read or is no catalog, with the first thing that is wrong
 */
export function readCatalog(path: string | undefined): Catalog {
  if (path === undefined) return Catalog.parse(builtIn);
  const parsed = Catalog.safeParse(readJson(path));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw notUsable(path, `${issue?.path.join(".") || "the document"}: ${issue?.message ?? "not a catalog"}`);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw notUsable(path, error instanceof Error ? error.message : String(error), error);
  }
}

function notUsable(path: string, reason: string, cause?: unknown): CourierError {
  return new CourierError("invalid", `Cannot use ${path} as the catalog: ${reason}`, {
    hint: 'It looks like {"models": [{"name": "phi4:latest", "description": "...", "size": "9.1 GB"}]}',
    cause,
  });
}
