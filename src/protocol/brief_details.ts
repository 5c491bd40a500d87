// What a list shows of a model's details. `show_model` returns all of them.
import { z } from "zod";
import { extra, maybe } from "./fields.ts";

/** It comes from the model's file, and so from its author: what is longer is left out, and the document stays small. */
const ShortText = z.string().max(200);

function few<Schema extends z.ZodType>(schema: Schema) {
  return z.array(schema).max(32);
}

/** As Ollama lists them. */
export const BriefDetails = z.object({
  /** The architecture: `phi3`, `llama`. */
  family: extra(maybe(ShortText)),
  families: extra(maybe(few(ShortText))),
  /** `gguf`, `safetensors`. */
  format: extra(maybe(ShortText)),
  /** `14.7B` */
  parameter_size: extra(maybe(ShortText)),
  /** `Q4_K_M` */
  quantization_level: extra(maybe(ShortText)),
  /** The model that it was made from. */
  parent_model: extra(maybe(ShortText)),
  /** The longest context that it was trained for, in tokens. */
  context_length: extra(maybe(z.int().nonnegative())),
  /** The numbers in each of its embeddings. */
  embedding_length: extra(maybe(z.int().nonnegative())),
});

/** What a model can be used for: `completion`, `tools`, `vision`. */
export const Capabilities = few(ShortText);
