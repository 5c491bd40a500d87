// The verb mirror add --agent: an agent with internet fetches models into the mirror, and gpuctl follows that.
import { asCourierError, CourierError, ERROR_CODES, isErrorCode } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import { normalModelName } from "../../../base/model_name.ts";
import { agentAway } from "../../../courier/refusals.ts";
import type { Fetch } from "../../../protocol.ts";
import type { Session } from "../../session.ts";

const LOOK_MS = 500;
/** Hours may pass until a model is there. */
const SHOWN_EVERY_MS = 10_000;

/** One after the other, as the agent does. @returns the exit status: that of the first that failed */
export async function addByAgent(session: Session, models: readonly string[]): Promise<number> {
  const { courier, printer, agents } = session;
  const [view, ...more] = await courier.choose(agents);
  if (view === undefined || more.length > 0)
    throw new CourierError("invalid", "Give one agent: it fetches for all of them");
  const { agent } = view;
  let status = 0;
  for (const model of models.map(normalModelName)) {
    try {
      const { total_bytes: size = null } = await fetchOne(session, agent, model);
      if (printer.json) printer.documentLine({ model, agent, size, code: null, error: null });
      else printer.line(`${model}: ${agent} has it in the mirror, ${formatBytes(size ?? 0)}`);
    } catch (error) {
      const { code, message } = asCourierError(error);
      if (code === "cancelled") throw error;
      if (printer.json) printer.documentLine({ model, agent, size: null, code, error: message });
      else printer.error(error);
      status ||= ERROR_CODES[code].exit;
    }
  }
  return status;
}

/** Resolves when the model is there. @throws CourierError also `cancelled` when the signal aborts: the agent goes on */
async function fetchOne(session: Session, agent: string, model: string): Promise<Fetch> {
  const { courier, io, printer } = session;
  if (courier.fetching === null) throw onShareOnly();
  const { id } = await courier.fetching.fetchModel(agent, model, { signal: io.signal });
  let shownAtMs = io.clock.monotonic();
  for (;;) {
    const fetch = await find(session, agent, id);
    if (fetch.state === "succeeded") return fetch;
    if (fetch.state === "failed" || fetch.state === "cancelled") throw failureOf(agent, fetch);
    if (io.clock.monotonic() - shownAtMs >= SHOWN_EVERY_MS) {
      shownAtMs = io.clock.monotonic();
      printer.note(`${model}: ${stageOf(fetch)}`);
    }
    await io.clock.sleep(LOOK_MS, io.signal);
    if (io.signal.aborted)
      throw new CourierError("cancelled", `${agent} goes on fetching ${model}`, {
        hint: `Follow it again: gpuctl mirror add ${model} --agent ${agent}`,
      });
  }
}

/** As the agent's state shows it. */
async function find({ courier }: Session, agent: string, id: string): Promise<Fetch> {
  const [view] = await courier.choose([agent]);
  const fetch = view?.state?.fetches?.find((each) => each.id === id);
  if (fetch !== undefined && (view?.online === true || (fetch.finished_at ?? null) !== null)) return fetch;
  if (view !== undefined && !view.online) throw agentAway(view);
  throw new CourierError("unavailable", `${agent} no longer shows this fetch`, { hint: "gpuctl mirror list" });
}

function stageOf({ state, completed_bytes, total_bytes, error }: Fetch): string {
  const figures = total_bytes ? `${formatBytes(completed_bytes)} of ${formatBytes(total_bytes)}` : "";
  const parts = [state === "queued" ? "waiting" : figures, error ?? ""];
  return parts.filter((part) => part !== "").join(", ");
}

/** In the agent's words. */
function failureOf(saidBy: string, { code, error, state }: Fetch): CourierError {
  const known = typeof code === "string" && isErrorCode(code) ? code : "internal";
  return new CourierError(known, error ?? `the fetch has ${state}`, { saidBy });
}

function onShareOnly(): CourierError {
  return new CourierError("invalid", "Only on the share itself can an agent be asked to fetch", {
    hint: "Run it where the share is mounted, with --share; or omit --agent, and gpu-server fetches",
  });
}
