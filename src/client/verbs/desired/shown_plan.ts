// A plan for a fleet: read from the fleet, and as a table.
import { formatBytes } from "../../../base/format.ts";
import { namesText } from "../../../base/order.ts";
import type { AgentView } from "../../../courier/agent_view.ts";
import { isListed } from "../../../courier/selection.ts";
import { type DesiredFleet, MAX_FLEET_FILE_BYTES, parseFleetFile } from "../../../program/desired/fleet_file.ts";
import { type BoxPlan, countDifferences, planFleet, type Step } from "../../../program/desired/plan_fleet.ts";
import { FIT_ASSUMPTION } from "../../../program/registry/model_fit.ts";
import type { Tone } from "../../../program/style.ts";
import { countText } from "../../output/counts.ts";
import type { Column } from "../../output/table.ts";
import { readTextFile } from "../../roster/read_file.ts";
import type { Session } from "../../session.ts";

const TONES: Readonly<Record<string, Tone>> = { pull: "good", update: "caution", delete: "bad", unknown: "caution" };

const COLUMNS: readonly Column[] = [
  { title: "AGENT" },
  { title: "PLAN", tone: (cell) => TONES[cell] ?? null },
  { title: "MODELS", flexible: true },
  { title: "SIZE", align: "right" },
  { title: "FREE DISK", leaveOut: 1 },
  { title: "MEMORY", leaveOut: 2, tone: (cell) => (cell === "fits" ? null : "caution") },
];

/** In a column; the whole words are in the note. From the worst to the best. */
const MEMORY = {
  "does not fit": "does not fit",
  "fits partly: the rest runs on the CPU": "partly",
  fits: "fits",
} as const;

export interface FleetPlan {
  readonly boxes: readonly BoxPlan[];
  /** How many steps change something. */
  readonly differences: number;
  /** Of all agents. */
  readonly views: readonly AgentView[];
}

/** @throws CourierError `invalid` with the line of a mistake */
export function readFleetFile(path: string): DesiredFleet {
  return parseFleetFile(readTextFile(path, MAX_FLEET_FILE_BYTES), path);
}

/**
 * A mistyped name must not look like a box with nothing to do.
 * @param shown those that the fleet or the file has; of the others it is looked up
 * @throws CourierError `not_found`
 */
export async function requireKnown({ courier, agents }: Session, shown: readonly string[]): Promise<void> {
  if (agents === undefined || agents === "all") return;
  const others = agents.filter((name) => !shown.some((agent) => isListed(agent, [name])));
  if (others.length > 0) await courier.choose(others);
}

/**
 * The fleet as it is now, compared with the file: the boxes that the command line names, by default all.
 * @throws CourierError `not_found` for a name that neither the fleet nor the file has
 */
export async function readPlan(session: Session, desired: DesiredFleet): Promise<FleetPlan> {
  const { courier, io, agents } = session;
  const { signal } = io;
  const views = await courier.fill(await courier.agents(), ["models", "jobs"], { signal });
  const whole = await Promise.all(
    views.map(async (view) => {
      const { agent, online, state } = view;
      if (!online || state === null || !state.truncated.includes("models")) return view;
      // Only the agent itself has the whole list.
      const { models, unavailable } = await courier.listModels([agent], { signal });
      if (unavailable.length > 0) return view;
      const truncated = state.truncated.filter((name) => name !== "models");
      return { ...view, state: { ...state, models: [...models], truncated } };
    }),
  );
  const asked = planFleet(desired, whole).filter(({ agent }) => isListed(agent, agents));
  await requireKnown(
    session,
    asked.map(({ agent }) => agent),
  );
  return { boxes: asked, differences: countDifferences(asked), views: whole };
}

export function printPlan({ printer }: Session, { boxes }: Pick<FleetPlan, "boxes">): void {
  const isSame = ({ unknown, steps }: BoxPlan): boolean =>
    unknown === null && steps.every(({ action }) => action === "unchanged");
  const rows = boxes.filter((box) => !isSame(box)).flatMap(rowsOf);
  if (rows.length > 0) printer.table(COLUMNS, rows);
  const same = boxes.filter(isSame).length;
  if (same > 0) printer.note(`${same} of ${boxes.length} boxes ${same === 1 ? "has" : "have"} what the file names`);
  const toFetch = fetchText(boxes);
  if (toFetch !== "") printer.note(toFetch);
  const small = boxes.filter((box) => box.fits === false).map(({ agent }) => agent);
  if (small.length > 0) printer.note(`Too little disk space: ${namesText(small)}`);
  const tight = boxes.filter(({ steps }) => steps.some(({ fits_memory: verdict }) => verdict && verdict !== "fits"));
  if (tight.length > 0) {
    const names = namesText(tight.map(({ agent }) => agent));
    printer.note(`Not all models fit the GPUs of ${names} (${FIT_ASSUMPTION})`, "partly: the rest runs on the CPU");
  }
}

/** `9.1 GB and 1 model of unknown size to fetch`; empty: nothing. */
export function fetchText(boxes: readonly BoxPlan[]): string {
  const fetched = boxes.flatMap(({ steps }) => steps).filter(({ action }) => action === "pull" || action === "update");
  const open = fetched.filter(({ size }) => size === null).length;
  const bytes = boxes.reduce((sum, { fetch_bytes }) => sum + fetch_bytes, 0);
  const parts = [
    ...(fetched.length > open ? [formatBytes(bytes)] : []),
    ...(open > 0 ? [`${countText(open, "model")} of unknown size`] : []),
  ];
  return parts.length === 0 ? "" : `${parts.join(" and ")} to fetch`;
}

/** A row for each kind of change. */
function rowsOf({ agent, unknown, steps, free_bytes, fits }: BoxPlan): string[][] {
  if (unknown !== null) return [[agent, "unknown", unknown, "", "", ""]];
  const free =
    free_bytes === null
      ? ""
      : `${formatBytes(free_bytes)}${fits === false ? ", too small" : fits === true ? ", fits" : ""}`;
  return [...Map.groupBy(steps, ({ action }) => action)].map(([action, of]) => {
    const isFetched = action === "pull" || action === "update";
    const models = action === "unchanged" ? `${of.length}` : of.map(({ model }) => model).join(", ");
    return [agent, action, models, action === "unchanged" ? "" : sizeText(of), isFetched ? free : "", memoryText(of)];
  });
}

/** The worst of them. */
function memoryText(steps: readonly Step[]): string {
  const worst = Object.entries(MEMORY).find(([verdict]) => steps.some(({ fits_memory }) => fits_memory === verdict));
  return worst?.[1] ?? "";
}

function sizeText(steps: readonly Step[]): string {
  const bytes = steps.reduce((sum, { size }) => sum + (size ?? 0), 0);
  const isWhole = steps.every(({ size }) => size !== null);
  return isWhole ? formatBytes(bytes) : bytes === 0 ? "unknown" : `over ${formatBytes(bytes)}`;
}
