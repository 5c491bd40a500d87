// The disks of boxes through gpu-server.
import { asCourierError } from "../../../base/errors.ts";
import { type PruneChoices, pruneArguments, type ShownPruned, type ShownUsage } from "../../../courier/disk.ts";
import { DiskDocument, PrunedDocument } from "../../../documents/models/disk.ts";
import { notGpuServer, tooOld } from "../failures.ts";
import type { ServerHttp } from "../http.ts";

/** gpu-server waits for the agent as long. */
const DISK_MS = 30_000;

export async function readDisk(http: ServerHttp, agent: string, signal: AbortSignal | undefined): Promise<ShownUsage> {
  const path = `/v1/agents/${agent}/disk`;
  const asked = http.get(path, DiskDocument, { signal, minimumMs: DISK_MS });
  const usage = (await orTooOld(http, asked, "GET …/disk")).agents[0]?.usage;
  if (usage === undefined) throw notGpuServer(http.base, "it shows no disk");
  return usage;
}

export async function pruneDisk(
  http: ServerHttp,
  agent: string,
  choices: PruneChoices,
  signal: AbortSignal | undefined,
): Promise<ShownPruned> {
  const [path, body] = [`/v1/agents/${agent}/prune`, pruneArguments(choices)];
  const asked = http.send("POST", path, PrunedDocument, { body, signal, minimumMs: DISK_MS });
  const pruned = (await orTooOld(http, asked, "POST …/prune")).agents[0]?.pruned;
  if (pruned === undefined) throw notGpuServer(http.base, "it does not show what was removed");
  return pruned;
}

/** The agent was chosen from the server's own list, so it is the route that is unknown. */
async function orTooOld<Value>(http: ServerHttp, asked: Promise<Value>, route: string): Promise<Value> {
  try {
    return await asked;
  } catch (error) {
    const { code, saidBy } = asCourierError(error);
    throw code === "not_found" && saidBy === undefined ? tooOld(http.base, route) : error;
  }
}
