// A fetch of a model into the mirror, as the agent that runs it shows it.
import { z } from "zod";
import { extra } from "./fields.ts";
import { cut, TEXT_LIMITS } from "./text.ts";

const Bytes = z.number().nonnegative();
const Instant = extra(z.string().max(64).nullable());

/** Bytes, bytes per second, ISO 8601 by the GPU machine's clock; null or missing: unknown or not yet. */
export const Fetch = z.object({
  id: z.string().max(128),
  model: cut(TEXT_LIMITS.text),
  state: z.enum(["queued", "running", "succeeded", "failed", "cancelled"]),
  /** Of the whole model, with what the mirror had already. */
  completed_bytes: Bytes,
  total_bytes: extra(Bytes.nullable()),
  bytes_per_second: extra(Bytes.nullable()),
  created_at: Instant,
  started_at: Instant,
  finished_at: Instant,
  /** One of the codes of errors; null unless it failed or was cancelled. */
  code: extra(z.string().max(64).nullable()),
  /** Also why the last attempt failed, while another one is to come. */
  error: extra(cut(TEXT_LIMITS.text).nullable()),
});
