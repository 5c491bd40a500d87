// Removes what downloads and deletes left in the blobs folder, and nothing that anybody may still need.
import { constants } from "node:fs";
import { access, lstat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { systemCode } from "../../base/errors.ts";
import type { Pruned } from "../../protocol.ts";
import { absent } from "./blob_files.ts";
import { type BlobGroup, type Named, namedBlobs, readBlobs, readGroup, realBlobs } from "./leftovers.ts";
import type { Place } from "./models_folder.ts";
import { ownersOf, type PullJobs } from "./pull_owners.ts";
import { unreadNote } from "./usage.ts";

export interface PruneChoices {
  readonly partials: boolean;
  readonly orphans: boolean;
  /** Remove nothing. */
  readonly dryRun: boolean;
}

interface PruningParts {
  readonly jobs: PullJobs;
  readonly clock: Clock;
}

/** Ollama's own prune spares files for as long. */
const SPARED_MS = 3_600_000;
/** Another command removes the rest: a sender does not wait forever. */
const LONGEST_MS = 20_000;

const NO_TIME = "there was no time left for it: prune again";
/** Somebody else removed it. */
const GONE = "it is gone";

/** The rest of the folder, without the blob in question. */
interface Around {
  readonly named: Named;
  readonly partials: readonly BlobGroup[];
}

interface Kept {
  readonly group: BlobGroup;
  readonly reason: string;
}

/**
 * Removes what the choices name and no job, no manifest and no recent change protects. Each blob is looked at again right
 * before it is removed. Harmless when it runs again.
 * @throws system errors: `EACCES`, `EPERM` or `EROFS` when this user may not remove files there: nothing was removed
 */
export async function pruneBlobs({ dir }: Place, choices: PruneChoices, parts: PruningParts): Promise<Pruned> {
  const blobs = await realBlobs(dir);
  if (blobs === null) return prunedOf(choices, [], []);
  if (!choices.dryRun) await access(blobs, constants.W_OK | constants.X_OK);
  const removed: BlobGroup[] = [];
  const kept: Kept[] = [];
  const found = await lookAround(dir, blobs);
  const whole = choices.orphans ? await readBlobs(blobs, "orphan") : [];
  const orphans = whole.filter(({ digest }) => !found.named.digests.has(digest));
  const untilMs = parts.clock.monotonic() + LONGEST_MS;
  for (const group of [...(choices.partials ? found.partials : []), ...orphans]) {
    const reason = choices.dryRun
      ? reasonToKeep(group, found, parts)
      : parts.clock.monotonic() > untilMs
        ? NO_TIME
        : await removeBlob(dir, blobs, group, parts);
    if (reason === null) removed.push(group);
    else if (reason !== GONE) kept.push({ group, reason });
  }
  return prunedOf(choices, removed, kept);
}

function prunedOf({ dryRun }: PruneChoices, removed: readonly BlobGroup[], kept: readonly Kept[]): Pruned {
  return {
    dry_run: dryRun,
    bytes: removed.reduce((total, { bytes }) => total + bytes, 0),
    count: removed.length,
    removed: removed.map(({ kind, digest, bytes }) => ({ kind, digest, bytes })),
    kept: kept.map(({ group: { kind, digest, bytes }, reason }) => ({ kind, digest, bytes, reason })),
  };
}

async function lookAround(dir: string, blobs: string): Promise<Around> {
  return { named: await namedBlobs(dir), partials: await readBlobs(blobs, "partial") };
}

/** Looks at everything again first. @returns null: it was removed; else why it stays @throws system errors */
async function removeBlob(dir: string, blobs: string, group: BlobGroup, parts: PruningParts): Promise<string | null> {
  const around = await lookAround(dir, blobs);
  const now = await readGroup(blobs, group);
  if (now === null) return GONE;
  const reason = reasonToKeep(now, around, parts);
  if (reason !== null) return reason;
  for (const file of now.files) {
    const path = join(blobs, file);
    // A folder above it may have become a link.
    const stats = (await realBlobs(dir)) === blobs ? await absent(lstat(path)) : null;
    if (stats === null || !stats.isFile()) continue;
    // Between this question and the removal no pull can begin.
    const changedAtMs = Math.max(stats.mtimeMs, stats.ctimeMs);
    const late = reasonToKeep({ ...now, changedAtMs }, around, parts);
    if (late !== null) return late;
    await removeFile(path);
  }
  return null;
}

function reasonToKeep(group: BlobGroup, { named, partials }: Around, parts: PruningParts): string | null {
  const { digest, kind, changedAtMs } = group;
  const [pulled] = parts.jobs.running();
  if (pulled !== undefined) return `${pulled} is being pulled`;
  const { ofDigest, unseen } = ownersOf(parts.jobs);
  const owner = ofDigest.get(digest);
  if (owner?.isActive === true) return `the pull of ${owner.job.model} needs it`;
  if (unseen !== null) return `the pull of ${unseen.model} may need it`;
  if (isRecent(changedAtMs, parts)) return "it changed less than an hour ago";
  if (named.digests.has(digest)) return "a model needs it";
  if (named.unread !== null) return unreadNote(named.unread);
  // One with `ollama pull` is no job of ours, and its model gets its manifest last.
  const isDownloading = kind === "orphan" && partials.some((partial) => isRecent(partial.changedAtMs, parts));
  return isDownloading ? "a download that went on less than an hour ago may need it" : null;
}

/** Also of a time in the future, by a clock that was wrong. */
function isRecent(changedAtMs: number, { clock }: PruningParts): boolean {
  return clock.now() - changedAtMs < SPARED_MS;
}

async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
  }
}
