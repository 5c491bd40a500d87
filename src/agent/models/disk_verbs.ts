// The verbs disk_usage and prune: what is on the disk of the models, and removing what is left over.
import { type Clock, within } from "../../base/clock.ts";
import { CourierError, systemCode } from "../../base/errors.ts";
import { fittingCount } from "../../base/fitting.ts";
import { formatBytes } from "../../base/format.ts";
import { type DiskUsage, LIMITS, type Pruned, type Response } from "../../protocol.ts";
import type { ModelsFolder, Place } from "../disk/models_folder.ts";
import { type PruneChoices, pruneBlobs } from "../disk/pruning.ts";
import type { PullJobs } from "../disk/pull_owners.ts";
import { readUsage } from "../disk/usage.ts";

type Result = Pick<Response, "message" | "disk_usage" | "pruned" | "truncated">;

interface DiskParts {
  readonly models: Pick<ModelsFolder, "place">;
  readonly jobs: PullJobs;
  readonly clock: Clock;
}

/** Each of the lists gets as much of a response. */
const LIST_BYTES = LIMITS.responseBytes / 4;
/** Reading thousands of files takes longer than one question, but nobody waits forever for it. */
const LOOKS_WITHIN_MS = 25_000;
const PLAIN_PATH = /^[\w./-]+$/;
const UNIT = "gpu-command-service.service";
/** The unit makes these read-only. Ollama's installer puts the models below /usr. */
const UNIT_READ_ONLY = /^\/(?:usr|etc|boot|efi)\//;
const INSTALLER = "install.sh --manage-blobs of its release";

/** @throws CourierError `unavailable` when the folder is unknown or hangs; `forbidden` when this user may not read it */
export async function showDisk({ models, jobs, clock }: DiskParts): Promise<Result> {
  const place = await placeOf(models, "show the disk");
  const read = inWords("show the disk", place, readUsage(place, jobs));
  const usage = await within(clock, LOOKS_WITHIN_MS, read, null);
  if (usage === null) throw hangs("show the disk", place);
  const cut = cutLists("disk_usage", usage, ["models", "partials", "orphans"]);
  return { disk_usage: cut.document, ...cut.truncated };
}

/** @throws CourierError as `showDisk()`, and `forbidden` also when this user may not remove files: nothing was removed */
export async function pruneDisk(
  given: Readonly<Record<string, unknown>>,
  { models, jobs, clock }: DiskParts,
): Promise<Result> {
  const choices = choicesOf(given);
  const place = await placeOf(models, "prune");
  const pruned = await inWords("prune", place, pruneBlobs(place, choices, { jobs, clock }));
  const cut = cutLists("pruned", pruned, ["removed", "kept"]);
  return { message: describe(pruned), pruned: cut.document, ...cut.truncated };
}

/** Without a choice both kinds are meant. @throws CourierError `invalid` */
function choicesOf(given: Readonly<Record<string, unknown>>): PruneChoices {
  const read = (name: "partials" | "orphans" | "dry_run"): boolean | undefined => {
    const value = given[name] ?? undefined;
    if (value === undefined || typeof value === "boolean") return value;
    throw new CourierError("invalid", `Cannot prune: arguments.${name} must be true or false`);
  };
  const [partials, orphans, dryRun = false] = [read("partials"), read("orphans"), read("dry_run")];
  if (partials === true || orphans === true) return { partials: partials === true, orphans: orphans === true, dryRun };
  if (partials === false && orphans === false)
    throw new CourierError("invalid", "Cannot prune: arguments.partials and arguments.orphans are both false");
  return { partials: partials ?? true, orphans: orphans ?? true, dryRun };
}

async function placeOf(models: Pick<ModelsFolder, "place">, deed: string): Promise<Place> {
  const place = await models.place();
  if ("disk" in place) return place;
  throw new CourierError("unavailable", `Cannot ${deed}: ${place.message}`, { hint: place.hint });
}

async function inWords<Value>(deed: string, place: Place, asked: Promise<Value>): Promise<Value> {
  try {
    return await asked;
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    const { path } = place.disk;
    if (code === "EROFS") {
      throw new CourierError("forbidden", `Cannot ${deed}: ${path} is read-only for the agent`, {
        hint: readWriteHint(path),
        cause: error,
      });
    }
    if (code === "EACCES" || code === "EPERM") {
      const rights = deed === "prune" ? "write in" : "read";
      throw new CourierError("forbidden", `Cannot ${deed}: this user may not ${rights} ${path}`, {
        hint: `Run on that machine: ${deed === "prune" ? writeHint(path) : `sudo ${aclCommand("rX", place.dir, "-R ")}`}`,
        cause: error,
      });
    }
    throw new CourierError("unavailable", `Cannot ${deed}: ${code} in ${path}`, {
      hint: "Check its mount, and the disk",
      cause: error,
    });
  }
}

function hangs(deed: string, { disk: { path } }: Place): CourierError {
  return new CourierError("unavailable", `Cannot ${deed}: reading ${path} takes too long`, {
    hint: "Check its mount, and the file server it comes from",
  });
}

function aclCommand(rights: string, path: string, flags = ""): string {
  return `setfacl ${flags}-m u:${process.getuid?.() ?? 0}:${rights} ${quoted(path)}`;
}

/** All that is needed, in one line: after the right of the file system comes that of the unit. */
function writeHint(path: string): string {
  const right = aclCommand("rwx", path);
  const isReadOnly = UNIT_READ_ONLY.test(path) && PLAIN_PATH.test(path);
  return `${isReadOnly ? `sudo sh -c '${right} && ${dropIn(path)}'` : `sudo ${right}`}, or ${INSTALLER}`;
}

function readWriteHint(path: string): string {
  if (!PLAIN_PATH.test(path)) return `Add ReadWritePaths=-${path} to [Service] of its unit`;
  return `Run on that machine: sudo sh -c '${dropIn(path)}', or ${INSTALLER}`;
}

function dropIn(path: string): string {
  const dir = `/etc/systemd/system/${UNIT}.d`;
  const write = `mkdir -p ${dir} && printf "[Service]\\nReadWritePaths=-${path}\\n" > ${dir}/blobs.conf`;
  return `${write} && systemctl daemon-reload && systemctl restart ${UNIT}`;
}

function quoted(path: string): string {
  return PLAIN_PATH.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

function describe({ dry_run, bytes, count, kept }: Pruned): string {
  const stays = kept.length === 0 ? "" : `; ${kept.length} stay`;
  if (count === 0) return `Nothing to remove${stays}`;
  return `${dry_run ? "Would remove" : "Removed"} ${count === 1 ? "1 blob" : `${count} blobs`}, ${formatBytes(bytes)}${stays}`;
}

/** As many entries of each list as a response holds; `truncated` is the response's field. */
function cutLists<Document extends DiskUsage | Pruned>(
  field: string,
  document: Document,
  lists: readonly (keyof Document & string)[],
): { readonly document: Document; readonly truncated: Pick<Result, "truncated"> } {
  const cut: string[] = [];
  const kept = { ...document };
  for (const list of lists) {
    const entries = kept[list];
    if (!Array.isArray(entries)) continue;
    const count = fittingCount(entries, LIST_BYTES);
    if (count < entries.length) cut.push(`${field}.${list}`);
    Object.assign(kept, { [list]: entries.slice(0, count) });
  }
  return { document: kept, truncated: cut.length === 0 ? {} : { truncated: cut } };
}
