// The documents about the keys of agents: which key an agent has, and what a decision changed.
import { z } from "zod";
import { AgentName } from "../protocol.ts";
import type { AgentKey } from "../trust/agents/known_agents.ts";

const KEY_STATUS = ["first use", "confirmed", "unsigned", "conflict"] as const;

/** Of an agent that has never signed, both are missing. */
export const keyFields = {
  key_id: z
    .string()
    .meta({ description: "The id of the key that signs the agent's states. Missing: the agent does not sign" })
    .optional(),
  key_status: z
    .enum(KEY_STATUS)
    .meta({
      id: "KeyStatus",
      description:
        "`first use`: the first key that was seen; `confirmed`: somebody named it; `unsigned`: the agent does not sign, on " +
        "purpose; `conflict`: the agent's last document is signed by another key, and does not count",
    })
    .optional(),
  conflicting_key_id: z
    .string()
    .meta({ description: "At a `conflict`: the id of the key that signed the agent's last document" })
    .optional(),
};

export const TrustedDocument = z
  .object({ agent: AgentName, ...keyFields, previous_key_id: z.string().optional() })
  .meta({ id: "Trusted", description: "The key by which an agent is known now, and the one before." });
export type TrustedDocument = z.infer<typeof TrustedDocument>;

export function keyOf(key: AgentKey | null): z.infer<z.ZodObject<typeof keyFields>> {
  const trouble = key?.trouble;
  const status = trouble?.kind === "conflict" ? "conflict" : key?.status;
  const other = trouble?.keyId;
  return {
    ...(key?.id ? { key_id: key.id } : {}),
    ...(status ? { key_status: status } : {}),
    ...(other === undefined ? {} : { conflicting_key_id: other }),
  };
}

export function trustedDocument(agent: string, before: AgentKey | null, after: AgentKey): TrustedDocument {
  const previous = before?.id && before.id !== after.id ? { previous_key_id: before.id } : {};
  return { agent, ...keyOf(after), ...previous };
}
