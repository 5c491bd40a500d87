// What a changing verb of gpuctl would do, as `--dry-run --json` prints it.
import { z } from "zod";
import { AgentName } from "../protocol.ts";

const PlannedChange = z.object({
  agent: AgentName,
  model: z.string().nullable().meta({ description: "Null: the agent itself is forgotten" }),
  verb: z.enum(["delete", "pull", "load", "unload", "copy", "cancel", "forget"]),
  destination: z.string().optional().meta({ description: "Of a copy: the second name" }),
  job: z.string().optional().meta({ description: "Of a cancel: the id of the job" }),
  installed: z.boolean().nullable().optional().meta({
    description: "Of a pull or delete: whether the agent has the model now; null: unknown",
  }),
  pull_under_way: z.string().nullable().optional().meta({
    description: "Of a pull or delete: the id of the pull that it would join, or cancel; null: none is known",
  }),
  size: z.number().nonnegative().nullable().meta({ description: "Of the model on this agent; null: unknown" }),
  skipped: z
    .string()
    .nullable()
    .meta({ description: "Why nothing would be done on this agent; null: it would be done" }),
});
export type PlannedChange = z.infer<typeof PlannedChange>;

export const PlannedDocument = z
  .object({ dry_run: z.literal(true), changes: z.array(PlannedChange) })
  .meta({ id: "Planned", description: "What a command would do: nothing was done." });
export type PlannedDocument = z.infer<typeof PlannedDocument>;

export function plannedDocument(changes: readonly PlannedChange[]): PlannedDocument {
  return { dry_run: true, changes: [...changes] };
}
