// The verb mirror list.
import { formatBytes } from "../../../base/format.ts";
import { formatModelName } from "../../../base/model_name.ts";
import { type ListedModel, listMirror } from "../../../transport/mirror/listing.ts";
import type { MirrorVerb } from "./verb.ts";

export async function printMirror({ mirror, printer }: MirrorVerb): Promise<void> {
  const { models, blobs } = await listMirror(mirror);
  const bytes = [...blobs.values()].reduce((sum, each) => sum + each, 0);
  if (printer.json) {
    printer.document({ folder: mirror.path, bytes, models: models.map(modelDocument) });
  } else if (models.length === 0) {
    printer.note(
      "The mirror has no models",
      "gpuctl mirror add MODEL fetches one, gpuctl mirror import DIR copies those of a models folder",
    );
  } else {
    const rows = models.map((listed) => [formatModelName(listed.name), sizeOf(listed), stateOf(listed)]);
    printer.table([{ title: "MODEL" }, { title: "SIZE" }, { title: "STATE" }], rows);
    printer.note(`${formatBytes(bytes)} in ${mirror.path}`);
  }
}

function modelDocument({ name, model, missing }: ListedModel) {
  return {
    name: formatModelName(name),
    digest: model?.manifest.digest ?? null,
    size: model?.manifest.totalBytes ?? null,
    missing_blobs: missing,
  };
}

function sizeOf({ model }: ListedModel): string {
  return model === null ? "" : formatBytes(model.manifest.totalBytes);
}

function stateOf({ model, missing }: ListedModel): string {
  if (model === null) return "damaged: its manifest cannot be read";
  return missing === 0 ? "complete" : `incomplete: ${missing} of ${model.manifest.layers.length} blobs missing`;
}
