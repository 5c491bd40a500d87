// Whether an agent's Ollama can be reached, as its state document shows it.
import { z } from "zod";
import { cut, TEXT_LIMITS } from "./text.ts";

export const OllamaHealth = z.object({
  reachable: z.boolean(),
  version: z.string().nullable(),
  error: cut(TEXT_LIMITS.text).nullable(),
  /** Null until Ollama was asked for the first time. */
  checked_at: z.string().nullable(),
});
