// The document about models in memory that `/v1` serves and `gpuctl ps --json` prints.
import { z } from "zod";
import type { FleetRunning } from "../courier/running.ts";
import { AgentName, RunningModel } from "../protocol.ts";
import { unavailableAgents, unavailableField } from "./unavailable.ts";

export const RunningDocument = z
  .object({
    running: z.array(
      RunningModel.extend({ agent: AgentName }).meta({
        id: "RunningModel",
        description: "A loaded model. Sizes in bytes; `size_vram` is the part on the GPU.",
      }),
    ),
    unavailable: unavailableAgents,
  })
  .meta({ id: "Running" });
export type RunningDocument = z.infer<typeof RunningDocument>;

export function runningDocument({ running, unavailable }: FleetRunning): RunningDocument {
  const models = running.map(({ agent, name, size, size_vram, expires_at }) => {
    return { agent, name, size, size_vram, expires_at };
  });
  return { running: models, ...unavailableField(unavailable) };
}
