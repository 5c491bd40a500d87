// The verbs of the mirror that gpu-server runs, and of fetches by agents: add, rm, gc, fetches and cancel.
import { CourierError, ERROR_CODES } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import { normalModelName } from "../../../base/model_name.ts";
import type { FetchDocument } from "../../../documents/models/mirror.ts";
import { type Column, MODEL_NAME } from "../../output/table.ts";
import {
  fetcherOf,
  fetchFailure,
  followFetch,
  type ServersMirror,
  startEach,
} from "../../pulls/mirror/server_fetch.ts";
import type { Session } from "../../session.ts";
import { freedText } from "./changing.ts";

/** The id is never left out: mirror cancel needs it. */
const COLUMNS: readonly Column[] = [
  { title: "FETCH" },
  { title: "MODEL", ...MODEL_NAME },
  { title: "BY", leaveOut: 1 },
  { title: "STATE" },
  { title: "PROGRESS", flexible: true },
];

/**
 * All at once: gpu-server fetches two at a time, an agent one.
 * @param agent that fetches; undefined: gpu-server
 * @returns the exit status: that of the first that failed
 */
export async function addByOther(
  session: Session,
  models: readonly string[],
  { agent, detach }: { readonly agent: string | undefined; readonly detach: boolean },
): Promise<number> {
  const { printer, courier } = session;
  const names = [...new Set(models.map(normalModelName))];
  const started: FetchDocument[] = [];
  let status = await startEach(session, names, async (model) => {
    started.push(await courier.fetches.start(model, agent));
  });
  if (detach) {
    if (started.length > 0) printFetches(session, started);
    return status;
  }
  for (const first of started) {
    const fetch = await followFetch(session, first);
    const { model, state, completed_bytes, code } = fetch;
    if (printer.json) printer.documentLine(fetch);
    else if (state === "succeeded") printer.line(`${model} is in the mirror: ${formatBytes(completed_bytes)}`);
    else printer.error(fetchFailure(fetch));
    if (state !== "succeeded") status ||= ERROR_CODES[code ?? "internal"].exit;
  }
  return status;
}

export async function removeOnServer(session: Session, models: readonly string[]): Promise<number> {
  const { printer } = session;
  for (const model of models.map(normalModelName)) {
    const freed = await serversMirror(session).remove(model);
    if (printer.json) printer.documentLine(freed);
    else printer.line(`removed ${model} from the mirror, freed ${formatBytes(freed.bytes)}`);
  }
  return 0;
}

export async function collectOnServer(session: Session): Promise<number> {
  const { printer } = session;
  const freed = await serversMirror(session).collect();
  if (printer.json) printer.document(freed);
  else printer.line(freedText(freed.files, freed.bytes));
  return 0;
}

export async function cancelFetches({ printer, courier }: Session, ids: readonly string[]): Promise<number> {
  for (const id of ids) {
    const fetch = await courier.fetches.cancel(id);
    if (printer.json) printer.documentLine(fetch);
    else printer.line(`cancelled the fetch of ${fetch.model}`);
  }
  return 0;
}

/** The verb mirror fetches. */
export async function listFetches(session: Session): Promise<number> {
  const { printer, courier } = session;
  const found = await courier.fetches.list();
  if (printer.json) printer.document(found);
  else printFetches(session, found.fetches);
  return 0;
}

function printFetches({ printer }: Session, fetches: readonly FetchDocument[]): void {
  if (printer.json) {
    for (const fetch of fetches) printer.documentLine(fetch);
  } else if (fetches.length === 0) {
    printer.note("No fetches", "gpuctl mirror add MODEL starts one");
  } else {
    const rows = fetches.map((fetch) => [fetch.id, fetch.model, fetcherOf(fetch), fetch.state, progressOf(fetch)]);
    printer.table(COLUMNS, rows);
  }
}

function progressOf({ completed_bytes, total_bytes, bytes_per_second, error }: FetchDocument): string {
  const [done, total] = [formatBytes(completed_bytes), total_bytes === null ? "" : formatBytes(total_bytes)];
  const speed = bytes_per_second === null ? "" : `${formatBytes(bytes_per_second)}/s`;
  return [done === total || total === "" ? total : `${done} of ${total}`, speed, error ?? ""]
    .filter((text) => text !== "")
    .join(", ");
}

/** @throws CourierError `invalid` on the share, where gpuctl works on the folder itself */
function serversMirror({ courier: { mirror } }: Session): ServersMirror {
  if (mirror !== null) return mirror;
  throw new CourierError("invalid", "This verb is about the mirror of gpu-server", { hint: "Name it with --server" });
}
