// The doctor's checks of a mirror: whether it is there, can be read and filled, and whether its models are whole.
import { constants } from "node:fs";
import { access, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { about, type Check } from "../../../base/check.ts";
import { asCourierError, systemCode } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import { formatModelName } from "../../../base/model_name.ts";
import { type Mount, mountAt, mountOf, readMounts } from "../../share/mount/table.ts";
import { mirrorFailure } from "../failures.ts";
import { absent, HeldFolder } from "../held_folder.ts";
import { BLOBS, MANIFESTS, TEMPORARY } from "../layout.ts";
import { type Listed, type ListedModel, listMirror } from "../listing.ts";
import type { Mirror, MirroredModel } from "../mirror.ts";

export interface MirrorUnderExamination {
  readonly mirror: Mirror;
  /** Whether this program depends on it, or only uses it where there is one. */
  readonly isRequired: boolean;
  /** Whether this program writes there. */
  readonly isFilled: boolean;
  /** Resolves if the box may use a model, as far as signatures go; null: it requires none. */
  readonly requireSigned: ((model: MirroredModel) => Promise<void>) | null;
  /** On the clock that the share's times are on. */
  readonly nowMs: number;
  readonly mounts?: readonly Mount[];
}

const LITTLE_BYTES = 50_000_000_000;
const OLD_MS = 7 * 86_400_000;
/** Of each kind: a copy that went wrong makes hundreds. */
const MAX_NAMED = 10;
/** What SMB mounts make of `:` and its like for servers that cannot have them: on other mounts these show. */
const PRIVATE_USE = /[\u{f001}-\u{f0ff}]/u;
const MAPPED = ["mapposix", "mapchars", "posix"];

/** Every check of it; none for a share without a mirror that nothing needs. Never rejects. */
export async function* examineMirror(examined: MirrorUnderExamination): AsyncGenerator<Check> {
  const { mirror, isRequired, isFilled } = examined;
  const check = about("mirror");
  try {
    const listed = await listMirror(mirror);
    const isThere = (await absent(stat(mirror.path))) !== null;
    if (!isThere && !isRequired && !isFilled) return;
    yield isThere ? check.ok(contentsOf(listed, mirror)) : missingMirror(examined);
    if (isFilled) yield* examineWriting(mirror);
    if (!isThere && !isFilled) return;
    yield* await examineNames(mirror, examined.mounts ?? readMounts());
    yield* examineModels(listed.models);
    yield* await examineSignatures(listed.models, examined);
    yield* await examinePartials(examined);
  } catch (error) {
    // Of a share that cannot be used at all, its own checks report that.
    const matters = isRequired || isFilled || (await canBeRead(mirror.share));
    if (matters) yield check.failedBy(mirrorFailure("read the mirror", mirror.path, error));
  }
}

async function canBeRead(folder: string): Promise<boolean> {
  try {
    await access(`${folder}/.`, constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function contentsOf({ models, blobs }: Listed, { path }: Mirror): string {
  const bytes = [...blobs.values()].reduce((sum, each) => sum + each, 0);
  return `${models.length} ${models.length === 1 ? "model" : "models"}, ${formatBytes(bytes)} in ${path}`;
}

function missingMirror({ mirror, isRequired }: MirrorUnderExamination): Check {
  const check = about("mirror");
  if (!isRequired) return check.ok(`${mirror.path} will be created with the first model`);
  return check.failed(
    `There is no mirror in ${mirror.share}`,
    "Is it mounted? gpuctl mirror add and import fill a mirror",
  );
}

async function* examineWriting(mirror: Mirror): AsyncGenerator<Check> {
  const check = about("mirror_writable");
  const path = (await absent(stat(mirror.path))) === null ? mirror.share : mirror.path;
  // Another user may have copied models there.
  const below = [BLOBS, MANIFESTS, TEMPORARY].map((name) => join(mirror.path, name));
  for (const folder of [path, ...below]) {
    try {
      const asked = access(`${folder}/.`, constants.R_OK | constants.W_OK | constants.X_OK);
      await (folder === path ? asked : absent(asked));
    } catch (error) {
      const hint = "Give this program's user the right to write there: models are fetched into it";
      yield check.failed(`${folder} cannot be written: ${systemCode(error) ?? "unknown"}`, hint);
      return;
    }
  }
  yield check.ok(`${path} is writable`);
  const { bsize, blocks, bavail } = await statfs(path);
  if (blocks === 0) return;
  const message = `${formatBytes(bavail * bsize)} of ${formatBytes(blocks * bsize)} free for ${path}`;
  const space = about("mirror_space");
  if (bavail * bsize >= LITTLE_BYTES) yield space.ok(message);
  else yield space.warning(message, "Free space on the share: gpuctl mirror rm, gpuctl mirror gc");
}

/** Folders of registries with a port have a `:` in their names, which a server of SMB cannot have. */
async function examineNames(mirror: Mirror, mounts: readonly Mount[]): Promise<Check[]> {
  const check = about("mirror_names");
  const { dev } = await stat(mirror.share, { bigint: true });
  const mount = mountOf(mounts, dev, mountAt(mounts, mirror.share));
  await using root = await absent(HeldFolder.openRoot(mirror.path, mirror.guard));
  await using manifests = (await root?.folder(MANIFESTS)) ?? null;
  const hosts = ((await manifests?.entries()) ?? []).map(({ name }) => name);
  const hint = "Mount it with mapposix on each machine that uses the mirror";
  if (hosts.some((host) => PRIVATE_USE.test(host)))
    return [
      check.failed(
        'Names of registries with a port cannot be read here: this mount shows their ":" as another character',
        hint,
      ),
    ];
  const isSmb = mount?.type === "cifs" || mount?.type === "smb3";
  if (!isSmb || MAPPED.some((option) => mount.options.includes(option))) return [];
  return [check.warning('Models of registries with a port cannot be kept here: this mount has no ":" in names', hint)];
}

function* examineModels(models: readonly ListedModel[]): Generator<Check> {
  const faulty = models.filter(({ model, missing }) => model === null || missing > 0);
  for (const { name, model, missing } of faulty.slice(0, MAX_NAMED)) {
    const shown = formatModelName(name);
    const check = about("mirror_model", shown);
    if (model === null)
      yield check.failed("Its manifest cannot be read", `gpuctl mirror rm ${shown}, then add or import it again`);
    else
      yield check.failed(
        `Incomplete: ${missing} of ${model.manifest.layers.length} blobs are missing, or have another size`,
        `Add or import it again: only those are copied. gpuctl mirror add ${shown}`,
      );
  }
  if (faulty.length > MAX_NAMED) yield about("mirror_model").failed(`${faulty.length - MAX_NAMED} more are incomplete`);
}

async function examineSignatures(
  models: readonly ListedModel[],
  { requireSigned }: MirrorUnderExamination,
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const { name, model } of models) {
    if (requireSigned === null || model === null) continue;
    try {
      await requireSigned(model);
    } catch (error) {
      const { message, hint = null } = asCourierError(error);
      checks.push(about("mirror_signature", formatModelName(name)).warning(message, hint));
    }
  }
  const more = checks.length - MAX_NAMED;
  if (more <= 0) return checks;
  return [...checks.slice(0, MAX_NAMED), about("mirror_signature").warning(`${more} more cannot be used here`)];
}

async function examinePartials({ mirror, nowMs }: MirrorUnderExamination): Promise<Check[]> {
  await using root = await absent(HeldFolder.openRoot(mirror.path, mirror.guard));
  await using temporary = (await root?.folder(TEMPORARY)) ?? null;
  let [files, bytes] = [0, 0];
  for (const { name } of (await temporary?.entries()) ?? []) {
    const found = (await temporary?.look(name)) ?? null;
    if (found === null || nowMs - found.modifiedAtMs <= OLD_MS) continue;
    files += 1;
    bytes += found.bytes;
  }
  if (files === 0) return [];
  const what = `${files} unfinished ${files === 1 ? "file is" : "files are"} older than 7 days, with ${formatBytes(bytes)}`;
  return [about("mirror_partials").warning(what, "Add the model again to go on, or remove them: gpuctl mirror gc")];
}
