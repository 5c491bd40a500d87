// What changes the mirror: import, rm and gc.
import { ERROR_CODES } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import { formatModelName, normalModelName, parseModelName } from "../../../base/model_name.ts";
import { ExitStatus } from "../../../program/exit.ts";
import { importModels } from "../../../transport/mirror/importing.ts";
import { collectGarbage, removeModel } from "../../../transport/mirror/upkeep.ts";
import { countText } from "../../output/counts.ts";
import type { MirrorVerb } from "./verb.ts";

/** Each model has its own result: one that is damaged does not keep the others away. */
export async function importIntoMirror(
  { mirror, io, printer }: MirrorVerb,
  dir: string,
  models: readonly string[],
): Promise<void> {
  const failed = new Set<number>();
  let count = 0;
  for await (const { name, bytes, error } of importModels(mirror, dir, models.map(normalModelName), io.signal)) {
    const model = formatModelName(name);
    count += 1;
    if (printer.json) printer.documentLine({ model, bytes, code: error?.code ?? null, error: error?.message ?? null });
    else if (error === null)
      printer.line(bytes === 0 ? `${model} is in the mirror` : `${model}: copied ${formatBytes(bytes)}`);
    if (error === null) continue;
    failed.add(ERROR_CODES[error.code].exit);
    if (!printer.json) printer.error(error);
  }
  const [status = 0] = failed;
  if (failed.size > 0) throw new ExitStatus(count === 1 ? status : 1);
}

export async function removeFromMirror({ mirror, printer }: MirrorVerb, models: readonly string[]): Promise<void> {
  for (const model of models.map(normalModelName)) {
    const { files, bytes } = await removeModel(mirror, parseModelName(model));
    if (printer.json) printer.documentLine({ model, files, bytes });
    else printer.line(`removed ${model} from the mirror, freed ${formatBytes(bytes)}`);
  }
}

export async function collectMirror({ mirror, io, printer }: MirrorVerb): Promise<void> {
  const { files, bytes } = await collectGarbage(mirror, io.clock.now());
  if (printer.json) printer.document({ files, bytes });
  else printer.line(freedText(files, bytes));
}

/** What a cleanup of the mirror removed. */
export function freedText(files: number, bytes: number): string {
  return files === 0 ? "nothing to remove" : `removed ${countText(files, "file")}, freed ${formatBytes(bytes)}`;
}
