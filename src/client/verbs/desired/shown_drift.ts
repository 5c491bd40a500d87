// The drift that gpu-server shows of the file that it keeps the fleet to, as a table.
import { CourierError } from "../../../base/errors.ts";
import { formatAgo } from "../../../base/format.ts";
import { namesText } from "../../../base/order.ts";
import { isListed } from "../../../courier/selection.ts";
import type { DesiredDocument, DriftDocument } from "../../../documents/models/desired.ts";
import type { Tone } from "../../../program/style.ts";
import { countText } from "../../output/counts.ts";
import { type Column, MODEL_NAME } from "../../output/table.ts";
import type { Session } from "../../session.ts";
import { requireKnown } from "./shown_plan.ts";

const TONES: Readonly<Record<string, Tone>> = { pull: "good", update: "caution", delete: "bad" };

const COLUMNS: readonly Column[] = [
  { title: "AGENT" },
  { title: "DRIFT", tone: (cell) => TONES[cell] ?? null },
  { title: "MODEL", ...MODEL_NAME },
  { title: "SINCE", leaveOut: 1 },
  { title: "STATE", flexible: true },
];

/** @throws CourierError `not_found` for a box that nobody knows; `invalid` when gpu-server keeps the fleet to no file, or gpuctl does not ask gpu-server */
export async function readDrift(session: Session): Promise<DesiredDocument> {
  const { courier, agents, io } = session;
  const document = await courier.desired({ signal: io.signal });
  if (document.status === "off")
    throw new CourierError("invalid", "gpu-server keeps the fleet to no file", {
      hint: "Name a file: gpuctl plan fleet.yaml. Or start gpu-server with --desired",
    });
  await requireKnown(session, [...document.drift.map(({ agent }) => agent), ...document.unknown]);
  return {
    ...document,
    drift: document.drift.filter(({ agent }) => isListed(agent, agents)),
    unknown: document.unknown.filter((agent) => isListed(agent, agents)),
  };
}

/** gpu-server compares every few seconds, unless it cannot read the share. */
const OLD_MS = 180_000;

export function isOld({ checked_at }: DesiredDocument, nowMs: number): boolean {
  return checked_at === null || nowMs - Date.parse(checked_at) > OLD_MS;
}

export function printDrift({ printer, courier }: Session, document: DesiredDocument): void {
  const { file, status, models, drift, unknown, problem } = document;
  const nowMs = courier.now();
  if (drift.length > 0)
    printer.table(
      COLUMNS,
      drift.map((each) => rowOf(each, nowMs)),
    );
  const name = file ?? "its file";
  if (status === "waiting") printer.note(`gpu-server has not compared the fleet with ${name} yet`);
  else if (isOld(document, nowMs))
    printer.note(`Compared ${formatAgo(document.checked_at, nowMs)}: gpu-server cannot read the fleet since`);
  else if (drift.length === 0)
    printer.note(`Nothing differs from ${name}${models === 0 ? "" : `, which names ${countText(models, "model")}`}`);
  if (unknown.length > 0) printer.note(`Unknown, and no difference: ${namesText(unknown)}`);
  if (problem !== null) printer.note(`Problem: ${problem}`);
}

function rowOf({ agent, action, model, since, job, reason }: DriftDocument, nowMs: number): string[] {
  const state = job === null ? (reason ?? "comes next") : `pull under way: ${job}`;
  return [agent, action, model, formatAgo(since, nowMs), state];
}
