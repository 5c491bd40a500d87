// The metrics of the mirror that gpu-server runs.
import { labelsOf, type MetricsText } from "../../program/metrics/text.ts";
import type { WholeServices } from "../services.ts";

/** @param mirror null: this server runs none, and shows nothing of it */
export function addMirror(text: MetricsText, mirror: WholeServices["mirror"]): void {
  if (mirror === null) return;
  const { active, ended } = mirror.fetches;
  for (const [state, count] of Object.entries(active))
    text.add("gpu_courier_mirror_fetches", labelsOf({ state }), count);
  for (const [result, count] of Object.entries(ended))
    text.add("gpu_courier_mirror_fetches_ended_total", labelsOf({ result }), count);
  const measured = mirror.measured();
  if (measured === null) return;
  text.addOne("gpu_courier_mirror_models", measured.models);
  text.addOne("gpu_courier_mirror_bytes", measured.bytes);
}
