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

/** The operator's own words for a box, such as its site. */
export const LABEL_LIMITS = { count: 16, characters: 63 } as const;
const LabelText = z.string().max(LABEL_LIMITS.characters);
export const Labels = z
  .record(LabelText, LabelText)
  .refine((labels) => Object.keys(labels).length <= LABEL_LIMITS.count, `must be at most ${LABEL_LIMITS.count}`)
  .meta({ maxProperties: LABEL_LIMITS.count });
