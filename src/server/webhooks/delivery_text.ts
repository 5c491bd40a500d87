// The targets and deliveries of webhooks for people.
import { visibleText } from "../../base/format.ts";
import type { DeliveriesDocument, DeliveryDocument, TargetDocument } from "./documents.ts";

const INDENT = "    ";

export function targetsText(targets: readonly TargetDocument[]): string {
  if (targets.length === 0) return "No webhooks: gpu-server was last started without --webhook\n";
  return targets.map((target) => `${target.address}  ${target.target}\n${INDENT}${standing(target)}\n`).join("");
}

function standing({ pending, delivered, failed, dropped, failures, paused_until, gone_at }: TargetDocument): string {
  const counts = `${pending} pending, ${delivered} delivered, ${failed} failed, ${dropped} dropped`;
  if (gone_at !== null) return `${counts}; wants no more events since ${timeOf(gone_at)}`;
  if (failures === 0) return counts;
  const next = paused_until === null ? "soon" : `at ${timeOf(paused_until)}`;
  return `${counts}; attempts without success: ${failures}, the next ${next}`;
}

/** For each a line with the event, and an indented one with what became of it. */
export function deliveriesText({ deliveries, next }: DeliveriesDocument): string {
  if (deliveries.length === 0) return "No deliveries\n";
  const older = next === undefined ? "" : "There are older deliveries: use a higher --limit\n";
  return `${deliveries.map(deliveryText).join("")}${older}`;
}

function deliveryText(delivery: DeliveryDocument): string {
  const { created_at, state, type, subject, address, attempts, last_status, error, next_attempt_at } = delivery;
  const parts = [
    `to ${address}`,
    `${attempts} ${attempts === 1 ? "attempt" : "attempts"}`,
    error ?? last_status?.toString(),
    next_attempt_at === null ? undefined : `next at ${timeOf(next_attempt_at)}`,
  ].filter((part) => part !== undefined);
  const line = `${timeOf(created_at)}  ${state}  ${type} ${subject}`;
  return `${visibleText(line, " ")}\n${INDENT}${visibleText(parts.join(", "), " ")}\n`;
}

/** To the second, in UTC. */
function timeOf(instant: string): string {
  return `${instant.slice(0, 19).replace("T", " ")}Z`;
}
