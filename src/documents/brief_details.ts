// The part that the documents about models share: what lists show of a model's details.
import { z } from "zod";

/** As in the protocol. Each may be missing. */
export const BriefDetailsDocument = z
  .object({
    family: z.string().optional(),
    families: z.array(z.string()).optional(),
    format: z.string().optional(),
    parameter_size: z.string().optional(),
    quantization_level: z.string().optional(),
    parent_model: z.string().optional(),
    context_length: z.int().nonnegative().optional(),
    embedding_length: z.int().nonnegative().optional(),
  })
  .meta({
    id: "BriefDetails",
    description: "What Ollama's lists show of a model. Each field may be missing.",
  });
