// A model as its registry has it now, and which boxes it fits.
import { CourierError } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import { parseModelName } from "../../../base/model_name.ts";
import type { FitDocument, ModelFitDocument } from "../../../documents/models/fit.ts";
import type { RegistryChoices } from "../../../program/registry/flags.ts";
import type { Tone } from "../../../program/style.ts";
import type { Column } from "../../output/table.ts";
import { noteUnavailable } from "../../output/unavailable.ts";
import type { Session } from "../../session.ts";

const TONES: Readonly<Record<string, Tone>> = {
  fits: "good",
  "fits partly: the rest runs on the CPU": "caution",
  "does not fit": "bad",
};
const tone = (cell: string): Tone | null => TONES[cell] ?? null;

const COLUMNS: readonly Column[] = [
  { title: "AGENT" },
  { title: "VERDICT", flexible: true, tone },
  { title: "NOW", flexible: true, tone, leaveOut: 2 },
  { title: "GPUS", align: "right" },
  { title: "FREE", align: "right", leaveOut: 1 },
];

/** @throws CourierError `not_found` when the registry has no such model; `unavailable` when that is unknown */
export async function showPublished(session: Session, name: string, registries: RegistryChoices): Promise<number> {
  const { courier, printer, io, agents } = session;
  const found = await courier.fit(name, agents, { registries, signal: io.signal });
  requirePublished(found);
  if (printer.json) {
    printer.document(found);
    return 0;
  }
  const { size, weights_bytes, digest, assumption, unavailable = [] } = found;
  printer.pairs([
    ["name", found.name],
    ["registry", parseModelName(name).host],
    ["size", bytesText(size, "unknown")],
    ["weights", bytesText(weights_bytes, "unknown")],
    ["digest", digest ?? ""],
  ]);
  printer.text("\n");
  if (found.agents.length > 0)
    printer.table(
      COLUMNS,
      found.agents.map((each) => [each.agent, ...cells(each)]),
    );
  noteUnavailable(printer, unavailable);
  printer.note(`The verdicts are ${assumption}`, "Nothing is refused by them: gpuctl pull pulls it anyway");
  return 0;
}

function requirePublished({ state, name, reason }: ModelFitDocument): void {
  const { host } = parseModelName(name);
  if (state === "missing")
    throw new CourierError("not_found", `${host} has no model ${JSON.stringify(name)}`, {
      hint: "Check the name and the tag",
    });
  if (state === "unknown")
    throw new CourierError(
      "unavailable",
      `Cannot read the manifest of ${JSON.stringify(name)}: ${reason ?? "unknown"}`,
    );
}

function cells({ verdict, verdict_now, reason, gpu_bytes, gpu_free_bytes }: FitDocument): string[] {
  const bytes = [gpu_bytes, gpu_free_bytes].map((each) => bytesText(each, ""));
  return [verdict ?? `unknown: ${reason ?? "no reason given"}`, verdict_now ?? "", ...bytes];
}

function bytesText(bytes: number | null, unknown: string): string {
  return bytes === null ? unknown : formatBytes(bytes);
}
