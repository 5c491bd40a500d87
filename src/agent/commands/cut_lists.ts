// Lists cut to the size of a response.
import { fittingCount } from "../../base/fitting.ts";
import { LIMITS } from "../../protocol.ts";

/** The other fields of a response need less than 64 KiB. */
const LIST_BYTES = LIMITS.responseBytes - 64 * 1024;

/** The first items, as many as a response holds; `truncated` is the response's field. */
export function firstThatFit<Item>(list: "models" | "running" | "jobs", items: readonly Item[]) {
  const count = fittingCount(items, LIST_BYTES);
  const truncated = count === items.length ? {} : { truncated: [list] };
  return { kept: items.slice(0, count), truncated };
}
