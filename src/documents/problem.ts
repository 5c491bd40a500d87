// The document that `/v1` answers with when a request fails.
import { z } from "zod";
import { ErrorCode } from "./named.ts";
import { unavailableAgents } from "./unavailable.ts";

/** What every account of an error has. */
export const problemFields = {
  detail: z.string(),
  code: ErrorCode,
  hint: z.string().optional(),
  gpuctl_hint: z
    .string()
    .optional()
    .meta({ description: "The hint with commands of gpuctl instead of routes, where that is different" }),
  said_by: z
    .string()
    .optional()
    .meta({ description: "The agent whose words `detail` and `hint` are. Missing: they are those of gpu-server" }),
};

/** RFC 9457. */
export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    ...problemFields,
    unavailable: unavailableAgents.meta({ description: "Of a list: why each agent could not answer" }),
  })
  .meta({ id: "Problem", description: "RFC 9457. Act on `code`, show `detail` and `hint`." });
export type Problem = z.infer<typeof Problem>;

/** Without what HTTP adds. */
export type ProblemDetails = Omit<Problem, "type" | "title" | "status">;
