// The documents about jobs that `/v1` answers and `gpuctl --json` prints, as schemas. Imports zod and the protocol.
import { z } from "zod";
import { Job } from "../protocol.ts";
import { unavailable } from "./document_schemas.ts";

export const JobDocument = Job.meta({
  id: "Job",
  description:
    "Long work of one agent. Bytes, bytes a second, seconds, instants in ISO 8601; null: unknown or not yet.",
});

export const JobsDocument = z.object({ jobs: z.array(JobDocument), unavailable }).meta({ id: "Jobs" });
export type JobsDocument = z.infer<typeof JobsDocument>;
