// One page of a list as JSON and as a link to the next one.
import type { Context } from "hono";
import type { Unavailable } from "../../../courier/unavailable.ts";
import type { Fragments } from "./fragments.ts";
import type { Page } from "./pages.ts";

/** @param unavailable only on the first page, so that a client that collects all pages has each once */
export function pageText<Item extends object>(
  field: string,
  page: Page<Item>,
  fragments: Pick<Fragments<Item>, "of">,
  unavailable: readonly Unavailable[] = [],
): string {
  const items = page.items.map((item) => fragments.of(item)).join(",");
  const away = unavailable.length === 0 ? "" : `,"unavailable":${JSON.stringify(unavailable)}`;
  const next = page.next === null ? "" : `,"next":${JSON.stringify(page.next)}`;
  return `{${JSON.stringify(field)}:[${items}]${away}${next}}`;
}

/** This request with another cursor, relative to its own address, which a proxy may have changed; null without a cursor. */
export function linkTo(context: Context, cursor: string | null): string | null {
  if (cursor === null) return null;
  const query = new URLSearchParams();
  for (const [name, values] of Object.entries({ ...context.req.queries(), after: [cursor] }))
    for (const value of values) query.append(name, value);
  return `?${query.toString()}`;
}
