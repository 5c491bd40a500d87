// One look at all state documents: bounded, the known ones first, and again only into those that changed.
import { join } from "node:path";
import { Turn } from "../../../base/turn.ts";
import { LEGACY_SERVICE_AGENT, LIMITS } from "../../../protocol.ts";
import type { StateRecord } from "../../../transport.ts";
import { type Facts, isGone, isSameFile } from "../calls/primitives.ts";
import { type Found, look } from "../files/read.ts";
import { thatReturn } from "../files/replaced.ts";
import { STATE_FILES } from "../layout.ts";
import type { Share } from "../share.ts";
import { instantMs } from "../time/share_clock.ts";

/** A document as it was last read. */
export interface ReadState {
  readonly facts: Facts;
  readonly record: StateRecord;
}

/** A document as it is known before a look. */
export type KnownState = { readonly facts: Facts; readonly record: Pick<StateRecord, "agent"> };

/** The result of a look at one document. `unknown`: it cannot be read now, which may pass. */
export type StateLook = "same" | "gone" | "unknown" | ReadState;

/** A look yields to the event loop after this long: other calls wait no longer for it. */
const TURN_MS = 1;
/** The last moment that a date can show; a file may claim any. */
const LAST_MS = 8.64e15;

/**
 * Looks at every document, the known ones first: what a flood of new names displaces is never a known agent.
 * @param known by file name
 * @param stop ends it early
 * @returns all names in the folder, how many were looked at, and how many were left out
 * @throws the share's error when it cannot be read
 */
export async function lookAtStates(
  share: Share,
  known: ReadonlyMap<string, KnownState>,
  saw: (name: string, seen: StateLook) => void,
  stop?: AbortSignal,
): Promise<{ readonly listed: ReadonlySet<string>; readonly looked: number; readonly leftOut: number }> {
  const { status } = share.layout;
  await share.folder(status);
  const listed = await share.namesIn(status);
  const turn = new Turn(TURN_MS);
  // One for all: thousands of buffers would be garbage after each look.
  const buffer = Buffer.allocUnsafe(LIMITS.stateBytes + 1);
  const { names, count } = inOrder(listed, known);
  let [looked, bytes] = [0, 0];
  const away = new Set(known.keys());
  for (const { name, agent } of names) {
    await turn.next();
    if (stop?.aborted === true) break;
    const before = known.get(name)?.facts;
    const seen = await lookAt(share, { name, agent, buffer }, before);
    bytes += bytesRead(typeof seen === "object" ? seen.facts : before);
    if (bytes > LIMITS.statesBytes) break;
    looked += 1;
    if (seen !== "gone") away.delete(name);
    saw(name, seen);
  }
  const isWhole = looked === names.length;
  for (const name of isWhole ? await thatReturn(share, status, [...away]) : []) {
    const { facts, record } = known.get(name) ?? {};
    if (record !== undefined) saw(name, await lookAt(share, { name, agent: record.agent, buffer }, facts));
  }
  return { listed, looked, leftOut: count - looked };
}

/** The names of the documents to look at, with their agents, and how many there are in all. */
function inOrder(
  listed: ReadonlySet<string>,
  known: ReadonlyMap<string, KnownState>,
): { readonly names: readonly { readonly name: string; readonly agent: string }[]; readonly count: number } {
  const first: { name: string; agent: string }[] = [];
  const others: { name: string; agent: string }[] = [];
  let count = 0;
  for (const name of listed) {
    const knownAgent = known.get(name)?.record.agent;
    const agent = knownAgent ?? STATE_FILES.parse(name);
    if (agent === null) continue;
    count += 1;
    if (knownAgent !== undefined) first.push({ name, agent });
    else if (others.length < LIMITS.states) others.push({ name, agent });
  }
  return { names: [...first, ...others].slice(0, LIMITS.states), count };
}

/** A document that is too large is not read. */
function bytesRead(facts: Facts | undefined): number {
  return facts === undefined || facts.size > LIMITS.stateBytes ? 0 : facts.size;
}

/** Logs once that documents are left out, and again when it is over. */
export function reportLeftOut({ log, layout }: Share, leftOut: number, before: number): void {
  const folder = layout.status.path;
  if (leftOut > 0 && before === 0) log.warn({ leftOut, folder }, "Too many state documents: some are not read");
  if (leftOut === 0 && before > 0) log.info({ folder }, "All state documents are read again");
}

export function stateRecord(agent: string, found: Found): StateRecord {
  const content = found.is === "read" ? { text: found.bytes.toString("utf8") } : { refused: found.reason };
  const publishedAtMs = Math.max(-LAST_MS, Math.min(LAST_MS, instantMs(found.facts.mtimeNs)));
  return { agent, content, publishedAtMs };
}

/**
 * One call is enough for most: a rename puts another file in place. Only a legacy service writes in place, and then a
 * network file system shows new content only after an open.
 */
async function lookAt(
  share: Share,
  { name, agent, buffer }: { readonly name: string; readonly agent: string; readonly buffer: Buffer },
  known: Facts | undefined,
): Promise<StateLook> {
  const path = join(share.layout.status.path, name);
  const mustOpen = share.isNetwork && agent === LEGACY_SERVICE_AGENT;
  if (known !== undefined && !mustOpen && (await isUnchanged(share, path, known))) return "same";
  const found = await look(share.fs, path, LIMITS.stateBytes, known, buffer);
  if (found.is === "same" || found.is === "gone") return found.is;
  return found.is === "unreadable" ? "unknown" : { facts: found.facts, record: stateRecord(agent, found) };
}

async function isUnchanged(share: Share, path: string, facts: Facts): Promise<boolean> {
  try {
    return isSameFile(await share.fs.lstat(path), facts);
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}
