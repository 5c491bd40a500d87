// What `show_model` returns of a model.
import { z } from "zod";
import { extra, maybe } from "./fields.ts";

/** A name or a version. A longer one is left out. */
const Word = extra(maybe(z.string().max(200)));
const Text = extra(maybe(z.string()));

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
  // Older agents do not send the fields below.
  /** ISO 8601, as in `Model`. */
  modified_at: Word,
  /** The oldest release of Ollama that runs it. */
  requires: Word,
  renderer: Word,
  parser: Word,
  /** As in `Model`. */
  remote_model: Word,
  remote_host: Word,
  system: Text,
  /** The conversation that each chat with it begins with. */
  messages: extra(maybe(z.array(z.object({ role: z.string(), content: z.string() })))),
  /** The metadata of its vision part. */
  projector_info: extra(maybe(z.record(z.string(), z.unknown()))),
  /** A file from which `ollama create` makes it again. */
  modelfile: Text,
});
