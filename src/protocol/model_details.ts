// What `show_model` returns of a model.
import { z } from "zod";

/** A model's details, as Ollama shows them. Long texts are cut and long lists are left out, to fit a response. */
export const ModelDetails = z.object({
  /** Family, parameter size, quantization and the like. */
  details: z.record(z.string(), z.unknown()).optional(),
  capabilities: z.array(z.string()).optional(),
  parameters: z.string().optional(),
  template: z.string().optional(),
  license: z.string().optional(),
  /** The metadata in the model's file, with its own keys, such as `general.architecture`. */
  model_info: z.record(z.string(), z.unknown()).optional(),
});
