// Follows a fetch of gpu-server, or of an agent, to its end.
import { asCourierError, CourierError, ERROR_CODES, type ErrorCode } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import type { FetchDocument } from "../../../documents/models/mirror.ts";
import type { FleetCourier } from "../../fleet_courier.ts";
import type { Session } from "../../session.ts";
import { cannotFetch, SHOWN_EVERY_MS } from "./local_fetch.ts";

export type ServersMirror = NonNullable<FleetCourier["mirror"]>;

const LOOK_MS = 1_000;

/**
 * @param isOver by default once it has ended
 * @throws CourierError `cancelled` after Ctrl-C: the fetch continues; `unavailable` when gpu-server is away for longer than
 * the timeout
 */
export async function followFetch(
  session: Session,
  first: FetchDocument,
  isOver: (fetch: FetchDocument) => boolean = isEnded,
): Promise<FetchDocument> {
  const { courier, io, printer, timeoutMs } = session;
  if (!isEnded(first)) printer.note(`${fetcherOf(first)} fetches ${first.model} into the mirror`);
  let [fetch, shownAtMs, seenAtMs] = [first, io.clock.monotonic(), io.clock.monotonic()];
  while (!isOver(fetch)) {
    await io.clock.sleep(LOOK_MS, io.signal);
    if (io.signal.aborted) throw detached(fetch);
    try {
      fetch = await courier.fetches.find(fetch.id, io.signal);
      seenAtMs = io.clock.monotonic();
    } catch (error) {
      // It may be starting again: the fetch goes on then. An agent's state shows a new one a little later.
      const isAway = ["unavailable", "not_found"].includes(asCourierError(error).code);
      if (!isAway || io.clock.monotonic() - seenAtMs >= timeoutMs) throw io.signal.aborted ? detached(fetch) : error;
    }
    if (io.clock.monotonic() - shownAtMs < SHOWN_EVERY_MS) continue;
    shownAtMs = io.clock.monotonic();
    printer.note(fetchProgress(fetch));
  }
  return fetch;
}

export function isEnded({ state }: FetchDocument): boolean {
  return state !== "queued" && state !== "running";
}

/** Why it did not succeed; an agent's reason is foreign text. */
export function fetchFailure({ agent, model, state, code, error }: FetchDocument): CourierError {
  const reason = new CourierError(code ?? "internal", error ?? state, agent === null ? {} : { saidBy: agent });
  return cannotFetch(model, reason);
}

/** After these no other model would fare better. */
const OF_ALL: readonly ErrorCode[] = ["unavailable", "deadline_exceeded", "unimplemented", "unauthenticated"];

/**
 * Each model has its own result: one that is refused keeps none of the others back, and does not hide that they were started.
 * @returns the exit status of the first that was refused; 0: none was
 * @throws CourierError when no model could be started; `cancelled`
 */
export async function startEach(
  { printer }: Session,
  models: readonly string[],
  start: (model: string) => Promise<void>,
): Promise<number> {
  let status = 0;
  for (const [index, model] of models.entries()) {
    try {
      await start(model);
    } catch (error) {
      const { code } = asCourierError(error);
      if (code === "cancelled" || models.length === 1 || (index === 0 && OF_ALL.includes(code))) throw error;
      printer.error(error);
      status ||= ERROR_CODES[code].exit;
      if (OF_ALL.includes(code)) break;
    }
  }
  return status;
}

function fetchProgress({ model, state, completed_bytes, total_bytes, error }: FetchDocument): string {
  const done = total_bytes === null ? state : `${formatBytes(completed_bytes)} of ${formatBytes(total_bytes)}`;
  return error === null ? `${model}: ${done}` : `${model}: ${done}, tried again: ${error}`;
}

/** Who fetches, for people. */
export function fetcherOf({ agent }: FetchDocument): string {
  return agent ?? "gpu-server";
}

function detached(fetch: FetchDocument): CourierError {
  return new CourierError("cancelled", `Detached: ${fetcherOf(fetch)} continues to fetch ${fetch.model}`, {
    hint: "gpuctl mirror fetches shows its progress",
  });
}
