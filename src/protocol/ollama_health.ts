// Whether an agent's Ollama can be reached, as its state document shows it.
import { z } from "zod";

export const OllamaHealth = z.object({
  reachable: z.boolean(),
  version: z.string().nullable(),
  error: z.string().nullable(),
  /** Null until Ollama was asked for the first time. */
  checked_at: z.string().nullable(),
});
