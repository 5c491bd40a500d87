// The metrics of the receivers of webhooks. Their labels are ids: any token may scrape, and who receives is for few to know.
import { labelsOf, type MetricsText } from "../../program/metrics/text.ts";
import type { TargetDocument } from "../webhooks/documents.ts";

const RESULTS = ["delivered", "failed", "dropped"] as const;

export function addWebhooks(text: MetricsText, targets: readonly TargetDocument[]): void {
  for (const { target, pending, ...counts } of targets) {
    text.add("gpu_courier_webhook_pending", labelsOf({ target }), pending);
    for (const result of RESULTS)
      text.add("gpu_courier_webhook_events_total", labelsOf({ target, result }), counts[result]);
  }
}
