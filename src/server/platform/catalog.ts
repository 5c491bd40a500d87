// The models that the platform's page offers to pull.
import { readFileSync } from "node:fs";
import { z } from "zod";
import { CourierError } from "../../base/errors.ts";
import builtIn from "./catalog.json" with { type: "json" };

/** `size` is a text for people, as the registry shows it. */
export const Catalog = z.object({
  models: z.array(z.object({ name: z.string().min(1), description: z.string(), size: z.string() })),
});
export type Catalog = z.infer<typeof Catalog>;

/**
 * @param path the operator's file; undefined: the built-in catalog
 * @throws CourierError `invalid`, with the first problem, when the file cannot be read or is not a catalog
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
    hint: 'Use the form {"models": [{"name": "phi4:latest", "description": "...", "size": "9.1 GB"}]}',
    cause,
  });
}
