// The parts of a state document that describe the box: its disk, GPUs, memory, platform and labels.
import { z } from "zod";

/** The disk with the models. */
export const Disk = z.object({
  path: z.string(),
  free_bytes: z.number().nonnegative(),
  total_bytes: z.number().nonnegative(),
});

export const Gpu = z.object({
  index: z.int().nonnegative(),
  uuid: z.string(),
  name: z.string(),
  memory_total_bytes: z.number().nonnegative().nullable(),
  memory_used_bytes: z.number().nonnegative().nullable(),
});

/** The main memory. `available_bytes` is what programs can still take without swapping. */
export const Memory = z.object({
  total_bytes: z.number().nonnegative(),
  available_bytes: z.number().nonnegative(),
});

/** In the words of Node: `linux` and `x64`, `darwin` and `arm64`. */
export const Platform = z.object({
  os: z.string().max(63),
  arch: z.string().max(63),
});

/** Of one agent: labels with the characters of each key and value, patterns of protected models with the characters of each. */
export const BOX_LIMITS = {
  labels: 16,
  labelCharacters: 63,
  protectedPatterns: 100,
  protectedCharacters: 700,
} as const;
/** The operator's own words for a box, such as its site. */
const LabelText = z.string().max(BOX_LIMITS.labelCharacters);
export const Labels = z
  .record(LabelText, LabelText)
  .refine((labels) => Object.keys(labels).length <= BOX_LIMITS.labels, `must be at most ${BOX_LIMITS.labels}`)
  .meta({ maxProperties: BOX_LIMITS.labels });
