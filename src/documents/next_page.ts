// The part that lists in pages share.
import { z } from "zod";

/** Missing on the last page. */
export const nextPage = z
  .string()
  .meta({ description: "The cursor of the next page, for `after`. Missing on the last page." })
  .optional();
