// The newest of the rosters that several transports have.
import { asCourierError } from "../../base/errors.ts";
import { fieldOf, parseJson } from "../../base/foreign_text.ts";
import type { Content } from "../../transport.ts";
import type { Member } from "./member.ts";

/**
 * The one with the highest serial: its signature is verified above. A forged one that hides another is no worse than one that
 * was removed: the reader keeps what it has.
 * @throws CourierError `unavailable` when no transport can be read
 */
export async function newestRoster(members: readonly Member[]): Promise<Content | null> {
  const results = await Promise.allSettled(members.map(async ({ transport }) => await transport.readRoster()));
  const read = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = results.find((result) => result.status === "rejected");
  if (read.length === 0) throw asCourierError(failed?.reason);
  return read.reduce((newest, next) => (serialOf(next) > serialOf(newest) ? next : newest));
}

/** One that cannot be read counts more than none. */
function serialOf(content: Content | null): number {
  if (content === null) return -2;
  const serial = "text" in content ? fieldOf(parseJson(content.text), "serial") : null;
  return typeof serial === "number" ? serial : -1;
}
