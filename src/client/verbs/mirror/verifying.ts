// The verb mirror verify: reads the blobs of the mirror whole, and names those that are damaged.
import { formatBytes } from "../../../base/format.ts";
import { formatModelName, normalModelName } from "../../../base/model_name.ts";
import { ExitStatus } from "../../../program/exit.ts";
import { type VerifiedModel, verifyModels } from "../../../transport/mirror/reading/verifying.ts";
import type { MirrorVerb } from "./verb.ts";

export interface VerifyChoices {
  readonly removeDamaged?: boolean | undefined;
}

/** Reading a large mirror takes hours. */
const SHOWN_EVERY_MS = 10_000;

export async function verifyMirror(verb: MirrorVerb, models: readonly string[], choices: VerifyChoices): Promise<void> {
  const { mirror, io, printer } = verb;
  const { clock, signal } = io;
  let shownAtMs = clock.monotonic();
  let readBytes = 0;
  const onRead = (bytes: number): void => {
    readBytes += bytes;
    if (clock.monotonic() - shownAtMs < SHOWN_EVERY_MS) return;
    shownAtMs = clock.monotonic();
    printer.note(`${formatBytes(readBytes)} verified`);
  };
  const { removeDamaged: removes = false } = choices;
  let isWhole = true;
  for await (const verified of verifyModels({
    mirror,
    models: models.map(normalModelName),
    removes,
    signal,
    onRead,
  })) {
    isWhole &&= verified.model !== null && verified.damaged.length + verified.missing.length === 0;
    if (printer.json) printer.documentLine(documentOf(verified, removes));
    else for (const line of linesOf(verified, removes)) printer.line(line);
  }
  if (!isWhole) throw new ExitStatus(1);
}

function documentOf({ name, model, damaged, missing }: VerifiedModel, removes: boolean) {
  return {
    model: formatModelName(name),
    size: model?.manifest.totalBytes ?? null,
    readable: model !== null,
    damaged,
    missing,
    removed: removes && damaged.length > 0,
  };
}

function linesOf({ name, model, damaged, missing }: VerifiedModel, removes: boolean): string[] {
  const shown = formatModelName(name);
  if (model === null)
    return [`${shown}: its manifest cannot be read. Remove it with gpuctl mirror rm, and add it again`];
  if (damaged.length + missing.length === 0) return [`${shown}: ${formatBytes(model.manifest.totalBytes)} verified`];
  const next = removes ? "removed. Bring it back with gpuctl mirror add or import" : "--remove-damaged removes it";
  return [
    ...damaged.map((digest) => `${shown}: ${digest} is damaged, ${next}`),
    ...missing.map((digest) => `${shown}: ${digest} is missing. Fetch it with gpuctl mirror add or import`),
  ];
}
