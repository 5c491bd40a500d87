// The agents' state documents: listed afresh, read as they are. Imports protocol.
import { join } from "node:path";
import { LIMITS } from "../../protocol.ts";
import type { StateRecord } from "../../transport.ts";
import { STATE_FILES } from "./layout.ts";
import { type Found, look, lookUp } from "./read.ts";
import type { Share } from "./share.ts";
import { instantMs } from "./share_clock.ts";

const FILES_A_TURN = 64;

export async function readStates(share: Share): Promise<readonly StateRecord[]> {
  const { status } = share.layout;
  await share.folder(status);
  const records: StateRecord[] = [];
  for (const name of (await share.fs.readdir(status.path)).toSorted()) {
    const agent = STATE_FILES.parse(name);
    if (agent === null) continue;
    const found = await look(share.fs, join(status.path, name), LIMITS.stateBytes);
    if (found.is === "read" || found.is === "refused") records.push(recordOf(agent, found));
    if (records.length % FILES_A_TURN === FILES_A_TURN - 1) await new Promise((resolve) => setImmediate(resolve));
  }
  return records.toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
}

export async function readState(share: Share, agent: string): Promise<StateRecord | null> {
  const found = await lookUp(share, share.layout.status, STATE_FILES.format(agent), LIMITS.stateBytes);
  return found === null ? null : recordOf(agent, found);
}

function recordOf(agent: string, found: Found): StateRecord {
  const content = found.is === "read" ? { text: found.bytes.toString("utf8") } : { refused: found.reason };
  return { agent, content, publishedAtMs: instantMs(found.facts.mtimeNs) };
}
