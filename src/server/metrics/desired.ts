// The metrics of the file that this server keeps the fleet to.
import { instantMs } from "../../base/clock.ts";
import type { DesiredDocument } from "../../documents/models/desired.ts";
import { labelsOf, type MetricsText } from "../../program/metrics/text.ts";

const ACTIONS = ["pull", "update", "delete"] as const;

/** Nothing without `--desired`: drift of 0 would look as if somebody took care of it. */
export function addDesired(text: MetricsText, { status, drift, unknown, checked_at, problem }: DesiredDocument): void {
  if (status === "off") return;
  text.addOne("gpu_courier_desired_file_problem", problem !== null);
  if (checked_at === null) return;
  text.addOne("gpu_courier_desired_compared_timestamp_seconds", instantMs(checked_at) / 1000);
  const counts = Map.groupBy(drift, ({ action }) => action);
  for (const action of ACTIONS)
    text.add("gpu_courier_desired_drift", labelsOf({ action }), counts.get(action)?.length ?? 0);
  text.addOne("gpu_courier_desired_unknown_boxes", unknown.length);
}
