// The document about the desired models that `/v1` serves and `gpuctl --json` prints: where the fleet differs from the file.
import { z } from "zod";
import { AgentName } from "../../protocol.ts";
import { Instant, orNull } from "../named.ts";

export const DriftDocument = z
  .object({
    agent: AgentName,
    model: z.string(),
    action: z.enum(["pull", "update", "delete"]).meta({ id: "DriftAction" }),
    since: Instant.meta({ description: "When this server first saw the difference" }),
    job: orNull(z.string()).meta({ description: "The id of the pull that is under way" }),
    reason: orNull(z.string()).meta({ description: "Why nothing was done yet, or what the last attempt met" }),
  })
  .meta({ id: "Drift", description: "A model of a box that differs from the file, and what would change it" });
export type DriftDocument = z.infer<typeof DriftDocument>;

export const DesiredDocument = z
  .object({
    file: orNull(z.string()).meta({
      description: "Of gpu-server's `--desired`; null for a caller with limited agents",
    }),
    status: z.enum(["off", "waiting", "active", "standby"]).meta({
      id: "DesiredStatus",
      description:
        "`off`: gpu-server has no `--desired`. `waiting`: no file is in force yet, or the fleet was not compared with it yet. `active`: this server brings the " +
        "fleet to the file. `standby`: another server with the same store does",
    }),
    checked_at: orNull(Instant).meta({ description: "When the fleet was last compared with the file" }),
    problem: orNull(z.string()).meta({
      description: "Why the file as it is now is not in force, with the line; an earlier one stays in force",
    }),
    models: z
      .int()
      .nonnegative()
      .meta({ description: "How many models the file in force names; 0 for a caller with limited agents" }),
    drift: z.array(DriftDocument).meta({ description: "In order of agents" }),
    unknown: z.array(AgentName).meta({
      description: "Agents that the file names and whose models are unknown, because they are away: no drift",
    }),
  })
  .meta({ id: "Desired", description: "The fleet compared with the file that gpu-server keeps it to" });
export type DesiredDocument = z.infer<typeof DesiredDocument>;

/** Of a gpu-server without a file. */
export const NOTHING_DESIRED: DesiredDocument = {
  file: null,
  status: "off",
  checked_at: null,
  problem: null,
  models: 0,
  drift: [],
  unknown: [],
};

/** What a caller that sees only these agents may know: the file and its problem name others. */
export function desiredOf(document: DesiredDocument, agents: ReadonlySet<string>): DesiredDocument {
  const isSeen = (agent: string): boolean => agents.has(agent);
  return {
    ...document,
    file: null,
    problem: document.problem === null ? null : "The file has a mistake, or cannot be read",
    models: 0,
    drift: document.drift.filter(({ agent }) => isSeen(agent)),
    unknown: document.unknown.filter(isSeen),
  };
}
