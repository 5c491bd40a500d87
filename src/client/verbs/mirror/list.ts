// The verb mirror list, on the share and through gpu-server.
import { asCourierError } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import { rangesText } from "../../../base/order.ts";
import { type FleetModels, modelsInStates } from "../../../courier/models.ts";
import { type MirrorDocument, mirrorDocument } from "../../../documents/models/mirror.ts";
import { listMirror } from "../../../transport/mirror/listing.ts";
import type { Mirror } from "../../../transport/mirror/mirror.ts";
import { countText } from "../../output/counts.ts";
import { type Column, MODEL_NAME } from "../../output/table.ts";
import { noteUnavailable } from "../../output/unavailable.ts";
import type { Session } from "../../session.ts";

type Model = MirrorDocument["models"][number];

const COLUMNS: readonly Column[] = [
  { title: "MODEL", ...MODEL_NAME, minimum: 24 },
  { title: "SIZE", align: "right" },
  { title: "STATE", flexible: true },
  { title: "AGENTS", flexible: true },
];

/** @param open the mirror on the share; not called where gpu-server runs it */
export async function printMirror(session: Session, open: () => Mirror): Promise<number> {
  const { printer, courier } = session;
  const document = courier.mirror === null ? await readHere(session, open()) : await courier.mirror.read();
  const { folder, bytes, models, unavailable = [] } = document;
  if (printer.json) {
    printer.document(document);
  } else if (models.length === 0) {
    printer.note(
      "The mirror has no models",
      "gpuctl mirror add MODEL fetches one, gpuctl mirror import DIR copies those of a models folder",
    );
  } else {
    printer.table(COLUMNS, models.map(rowOf));
    printer.note(folder === null ? formatBytes(bytes) : `${formatBytes(bytes)} in ${folder}`);
    noteUnavailable(printer, unavailable);
  }
  return 0;
}

async function readHere(session: Session, mirror: Mirror): Promise<MirrorDocument> {
  const listed = await listMirror(mirror);
  return mirrorDocument(mirror.path, listed, await modelsOfBoxes(session));
}

/** A share may have a mirror before it has agents. */
async function modelsOfBoxes({ courier, printer }: Session): Promise<FleetModels> {
  try {
    await courier.connect();
    return modelsInStates(await courier.agents());
  } catch (error) {
    const { message, hint } = asCourierError(error);
    printer.note(`Which agents have them is unknown: ${message}`, hint);
    return { models: [], unavailable: [] };
  }
}

function rowOf(model: Model): string[] {
  const { agents, other_agents } = model;
  const other = other_agents.length === 0 ? "" : `another one: ${rangesText(other_agents)}`;
  const having = [agents.length === 0 ? "" : rangesText(agents), other].filter((text) => text !== "").join("; ");
  return [model.name, model.size === null ? "" : formatBytes(model.size), stateOf(model), having];
}

function stateOf({ digest, missing_blobs, signed_by }: Model): string {
  if (digest === null) return "damaged: its manifest cannot be read";
  const state = missing_blobs === 0 ? "complete" : `incomplete: ${countText(missing_blobs, "blob")} missing`;
  return signed_by === null ? state : `${state}, signed`;
}
