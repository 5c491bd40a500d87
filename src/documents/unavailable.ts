// The parts that lists share: agents that could not answer, and the cursor of the next page.
import { z } from "zod";
import type { Unavailable } from "../courier/unavailable.ts";
import { AgentName } from "../protocol.ts";
import { ErrorCode } from "./named.ts";

/** Present only when an agent could not answer. */
export const unavailableAgents = z
  .array(z.object({ agent: AgentName, code: ErrorCode, reason: z.string() }).meta({ id: "Unavailable" }))
  .optional();

/** The field, to be spread into a document; empty when every agent answered. */
export function unavailableField(unavailable: readonly Unavailable[]): { unavailable?: Unavailable[] } {
  return unavailable.length === 0 ? {} : { unavailable: [...unavailable] };
}

/** Missing on the last page. */
export const nextPage = z
  .string()
  .meta({ description: "The cursor of the next page, for `after`. Missing on the last page." })
  .optional();
