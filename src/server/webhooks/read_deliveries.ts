// One page of the deliveries as a document.
import type { DeliveriesDocument } from "./documents.ts";
import type { DeliveryFilter, DeliveryPage, WebhookTables } from "./queue/tables.ts";

export function readDeliveries(
  tables: WebhookTables,
  filter: DeliveryFilter,
  { limit, before }: DeliveryPage,
  nowMs: number,
): DeliveriesDocument {
  const found = tables.deliveries(filter, { limit: limit + 1, before });
  const deliveries = found.slice(0, limit);
  const last = deliveries.at(-1);
  return {
    targets: [...tables.targets(nowMs)],
    deliveries,
    ...(found.length > limit && last !== undefined ? { next: String(last.number) } : {}),
  };
}
