// The agents' state documents: published by rename, listed at each reading, read again only when they changed.
import { join } from "node:path";
import { Turn } from "../../../base/turn.ts";
import { LEGACY_SERVICE_AGENT, LIMITS } from "../../../protocol.ts";
import type { StateRecord } from "../../../transport.ts";
import { type Facts, isGone, isSameFile } from "../calls/primitives.ts";
import { publishFile } from "../files/publish.ts";
import { type Found, look, lookUp } from "../files/read.ts";
import { STATE_FILES } from "../layout.ts";
import type { Share } from "../share.ts";
import { instantMs } from "../time/share_clock.ts";

/** A file as it was last read. */
interface Known {
  readonly facts: Facts;
  readonly record: StateRecord;
}

/** The result of a look at one document. `unknown`: it cannot be read now, which may pass. */
export type StateLook = "same" | "gone" | "unknown" | Known;

/** A reading yields to the event loop after this long: other calls wait no longer for it. */
const TURN_MS = 1;

export class States {
  readonly #share: Share;
  /** By file name, as last read. With a thousand agents most have not changed since. */
  #known = new Map<string, Known>();
  #leftOut = 0;

  constructor(share: Share) {
    this.#share = share;
  }

  async publish(agent: string, text: string): Promise<void> {
    await publishFile(this.#share, this.#share.layout.status, STATE_FILES.format(agent), text, { durable: false });
  }

  async readAll(): Promise<readonly StateRecord[]> {
    const found = new Map<string, Known>();
    const { names, leftOut } = await lookAtStates(this.#share, this.#known, (name, seen) => {
      const known = seen === "same" || seen === "unknown" ? this.#known.get(name) : seen;
      if (known !== undefined && known !== "gone") found.set(name, known);
    });
    // One that is gone was removed since the listing, unless the whole folder is away.
    if (found.size < names.size) await this.#share.folderAgain(this.#share.layout.status);
    reportLeftOut(this.#share, leftOut, this.#leftOut);
    this.#leftOut = leftOut;
    this.#known = found;
    return [...found.values()].map(({ record }) => record).toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
  }

  /** @returns null when the agent has no document */
  async read(agent: string): Promise<StateRecord | null> {
    const found = await lookUp(this.#share, this.#share.layout.status, STATE_FILES.format(agent), LIMITS.stateBytes);
    return found === null ? null : recordOf(agent, found);
  }
}

/**
 * One look at every document, the known ones first: what a flood of new names displaces is never a known agent.
 * @param known by file name
 * @returns the names that were looked at, and how many were left out
 * @throws the share's error when it cannot be read
 */
export async function lookAtStates(
  share: Share,
  known: ReadonlyMap<string, { readonly facts: Facts }>,
  saw: (name: string, seen: StateLook) => void,
): Promise<{ readonly names: ReadonlySet<string>; readonly leftOut: number }> {
  const { status } = share.layout;
  await share.folder(status);
  const listed = [...(await share.namesIn(status))].filter((name) => STATE_FILES.parse(name) !== null);
  const ordered = [...listed.filter((name) => known.has(name)), ...listed.filter((name) => !known.has(name))];
  const names = new Set<string>();
  const turn = new Turn(TURN_MS);
  let bytes = 0;
  for (const name of ordered.slice(0, LIMITS.states)) {
    await turn.next();
    const facts = known.get(name)?.facts;
    const seen = await lookAt(share, name, facts);
    bytes += typeof seen === "object" ? seen.facts.size : (facts?.size ?? 0);
    if (bytes > LIMITS.statesBytes) break;
    names.add(name);
    saw(name, seen);
  }
  return { names, leftOut: listed.length - names.size };
}

/** Logs once that documents are left out, and again when it is over. */
export function reportLeftOut({ log, layout }: Share, leftOut: number, before: number): void {
  const folder = layout.status.path;
  if (leftOut > 0 && before === 0) log.warn({ leftOut, folder }, "Too many state documents: some are not read");
  if (leftOut === 0 && before > 0) log.info({ folder }, "All state documents are read again");
}

/**
 * One call is enough for most: a rename puts another file in place. Only a legacy service writes in place, and then a
 * network file system shows new content only after an open.
 */
async function lookAt(share: Share, name: string, known: Facts | undefined): Promise<StateLook> {
  const agent = STATE_FILES.parse(name);
  if (agent === null) return "gone";
  const path = join(share.layout.status.path, name);
  const mustOpen = share.isNetwork && agent === LEGACY_SERVICE_AGENT;
  if (known !== undefined && !mustOpen && (await isUnchanged(share, path, known))) return "same";
  const found = await look(share.fs, path, LIMITS.stateBytes, known);
  if (found.is === "same" || found.is === "gone") return found.is;
  return found.is === "unreadable" ? "unknown" : { facts: found.facts, record: recordOf(agent, found) };
}

async function isUnchanged(share: Share, path: string, facts: Facts): Promise<boolean> {
  try {
    return isSameFile(await share.fs.lstat(path), facts);
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

function recordOf(agent: string, found: Found): StateRecord {
  const content = found.is === "read" ? { text: found.bytes.toString("utf8") } : { refused: found.reason };
  return { agent, content, publishedAtMs: instantMs(found.facts.mtimeNs) };
}
