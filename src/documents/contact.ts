// The documents about commands that are neither of a model nor of a job: a ping, and the commands that agents refused.
import { z } from "zod";
import { AgentName, Code, CommandId, type RefusedCommand } from "../protocol.ts";

export const PingDocument = z
  .object({ agent: AgentName, rtt_ms: z.number().nonnegative() })
  .meta({ id: "Ping", description: "The round trip from gpu-server over the share to an agent and back, in ms." });
export type PingDocument = z.infer<typeof PingDocument>;

const RefusedDocument = z.object({
  agent: AgentName,
  at: z.string(),
  command_id: CommandId,
  command: z.string().nullable(),
  model: z.string().nullable(),
  code: Code,
  error: z.string(),
});

export const RefusedCommandsDocument = z
  .object({ refused: z.array(RefusedDocument) })
  .meta({ id: "RefusedCommands", description: "Of each agent the last ones, the newest last; no job shows them." });
export type RefusedCommandsDocument = z.infer<typeof RefusedCommandsDocument>;

/** A command that an agent refused without running it. */
export interface Refused extends RefusedCommand {
  readonly agent: string;
}

interface View {
  readonly agent: string;
  readonly state: { readonly refused?: readonly RefusedCommand[] | undefined } | null;
}

/** Those that the states of these agents hold, in their order. */
export function refusedBy(views: readonly View[]): Refused[] {
  return views.flatMap(({ agent, state }) => (state?.refused ?? []).map((command) => ({ agent, ...command })));
}
