// A model as its registry has it now, as an agent reads it there.
import { z } from "zod";

const Bytes = z.number().nonnegative();

export const PublishedModel = z.object({
  /** Of its manifest, in hex without `sha256:`, as Ollama lists it. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  total_bytes: Bytes,
  /** Of the layers that are loaded into memory; null: none is marked as such. */
  weights_bytes: Bytes.nullable(),
});
