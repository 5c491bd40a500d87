// A job as the ledger keeps it: what everybody sees, and what only the agent needs to go on with it. Imports zod, protocol.
import { z } from "zod";
import { Job } from "../../protocol.ts";
import { NotedLayer } from "../ollama/pull_tracker.ts";

export const KeptJob = Job.extend({
  /** Go on where the disk seems too small. */
  force: z.boolean().default(false),
  layers: z.array(NotedLayer).default([]),
});
export type KeptJob = z.infer<typeof KeptJob>;
