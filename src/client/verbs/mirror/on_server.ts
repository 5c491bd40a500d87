// The verbs of the mirror that gpu-server runs: add, rm, gc and cancel.
import { CourierError, ERROR_CODES } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import { normalModelName } from "../../../base/model_name.ts";
import type { FetchDocument } from "../../../documents/models/mirror.ts";
import { fetchFailure, followFetch, type ServersMirror } from "../../pulls/mirror/server_fetch.ts";
import type { Session } from "../../session.ts";

/** All at once: gpu-server runs two at a time. @returns the exit status: that of the first that failed */
export async function addOnServer(session: Session, models: readonly string[], isDetached: boolean): Promise<number> {
  const { printer } = session;
  const mirror = serversMirror(session);
  const names = [...new Set(models.map(normalModelName))];
  const started: FetchDocument[] = [];
  for (const model of names) started.push(await mirror.start(model));
  if (isDetached) {
    printFetches(session, started);
    return 0;
  }
  let status = 0;
  for (const first of started) {
    const fetch = await followFetch(session, mirror, first);
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
  else if (freed.files === 0) printer.line("nothing to remove");
  else printer.line(`removed ${freed.files} files, freed ${formatBytes(freed.bytes)}`);
  return 0;
}

export async function cancelOnServer(session: Session, ids: readonly string[]): Promise<number> {
  const { printer } = session;
  for (const id of ids) {
    const fetch = await serversMirror(session).cancel(id);
    if (printer.json) printer.documentLine(fetch);
    else printer.line(`cancelled the fetch of ${fetch.model}`);
  }
  return 0;
}

/** The verb mirror fetches. */
export async function listFetches(session: Session): Promise<number> {
  const { printer } = session;
  const found = await serversMirror(session).fetches();
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
    const rows = fetches.map((fetch) => [
      fetch.id,
      fetch.model,
      fetch.agent ?? "gpu-server",
      fetch.state,
      progressOf(fetch),
    ]);
    const columns = ["FETCH", "MODEL", "BY", "STATE"].map((title) => ({ title }));
    printer.table([...columns, { title: "PROGRESS", flexible: true }], rows);
  }
}

function progressOf({ completed_bytes, total_bytes, bytes_per_second, error }: FetchDocument): string {
  const done = total_bytes === null ? "" : `${formatBytes(completed_bytes)} of ${formatBytes(total_bytes)}`;
  const speed = bytes_per_second === null ? "" : `${formatBytes(bytes_per_second)}/s`;
  return [done, speed, error ?? ""].filter((text) => text !== "").join(", ");
}

/** @throws CourierError `invalid` on the share, where gpuctl fetches by itself */
function serversMirror({ courier: { mirror } }: Session): ServersMirror {
  if (mirror !== null) return mirror;
  throw new CourierError("invalid", "This verb is about the fetches of gpu-server", {
    hint: "Name it with --server. On the share, gpuctl mirror add fetches from this machine",
  });
}
