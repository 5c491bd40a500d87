// Schemas that the documents share, with the names and formats that generated clients get from them.
import { z } from "zod";
import * as protocol from "../protocol.ts";

export const ErrorCode = protocol.Code.meta({
  id: "ErrorCode",
  description: "Why something failed. Programs act on it; a new one is a change of the protocol.",
});

export const JobState = protocol.JobState.meta({
  id: "JobState",
  description: "`queued`, `running` and `verifying` are active; the others are final.",
});

export const JobPhase = protocol.JobPhase.meta({ id: "JobPhase", description: "Ollama's current step of a pull." });

export const Bytes = z.int().nonnegative().meta({ format: "int64" });

/** RFC 3339. Generated clients parse it, so it holds nothing else: see `instants.ts`. */
export const Instant = z.string().meta({ format: "date-time" });

/** In /openapi.json, `.nullable()` would change the schema wherever it is referred to by its name. */
export function orNull<Schema extends z.ZodType>(schema: Schema) {
  return z.union([schema, z.null()]);
}
