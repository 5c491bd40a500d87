// The document about agents that were forgotten, as `/v1` serves and `gpuctl forget --json` prints it.
import { z } from "zod";
import type { CourierError } from "../base/errors.ts";
import { AgentName } from "../protocol.ts";
import { ErrorCode, orNull } from "./named.ts";

export const ForgottenDocument = z
  .object({
    agents: z.array(
      z.object({
        agent: AgentName,
        code: orNull(ErrorCode),
        error: z.string().nullable(),
        commands: z.int().nonnegative().nullable().meta({ description: "Commands that were removed with its inbox" }),
      }),
    ),
  })
  .meta({ id: "Forgotten", description: "The result for each agent; `code` and `error` are null where it succeeded." });
export type ForgottenDocument = z.infer<typeof ForgottenDocument>;

interface ForgetOutcome {
  readonly agent: string;
  readonly answer?: { readonly commands: number };
  readonly error?: CourierError;
}

export function forgottenDocument(outcomes: readonly ForgetOutcome[]): ForgottenDocument {
  return {
    agents: outcomes.map(({ agent, answer, error }) => ({
      agent,
      code: error?.code ?? null,
      error: error?.message ?? null,
      commands: answer?.commands ?? null,
    })),
  };
}
