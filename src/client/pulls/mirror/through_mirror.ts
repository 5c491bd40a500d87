// gpuctl pull --mirror: fetches the models into the mirror once, and then pulls them on the agents.
import { isoTime } from "../../../base/clock.ts";
import { asCourierError, CourierError, ERROR_CODES } from "../../../base/errors.ts";
import { rangesText } from "../../../base/order.ts";
import { refusedJob } from "../../../documents/jobs.ts";
import type { FetchDocument } from "../../../documents/models/mirror.ts";
import type { Mirror } from "../../../transport/mirror/mirror.ts";
import { type Column, MODEL_NAME } from "../../output/table.ts";
import type { Session } from "../../session.ts";
import type { Pulled } from "../follow.ts";
import { type AskedPull, type StartChoices, startPull } from "../start.ts";
import { cannotFetch, type FetchChoices, fetchHere } from "./local_fetch.ts";
import { fetchFailure, followFetch, isEnded, type ServersMirror, startEach } from "./server_fetch.ts";

const COLUMNS: readonly Column[] = [
  { title: "FETCH" },
  { title: "MODEL", ...MODEL_NAME },
  { title: "STATE" },
  { title: "AFTERWARDS", flexible: true },
];

export interface Mirrored {
  /** Those whose models are in the mirror now. */
  readonly pulls: readonly AskedPull[];
  readonly start: (pull: AskedPull) => Promise<Pulled>;
  /** Of the first model that could not be fetched; 0: all were. */
  readonly status: number;
}

/**
 * Prints why a model could not be fetched, and goes on with the others.
 * @param open the mirror on the share; not called where gpu-server runs it
 */
export async function throughMirror(
  session: Session,
  pulls: readonly AskedPull[],
  choices: StartChoices & FetchChoices,
  open: () => Mirror,
): Promise<Mirrored> {
  const { mirror: onServer } = session.courier;
  if (onServer !== null) return await fetchOnServer(session, onServer, pulls, choices);
  const mirror = open();
  const fetch = async (model: string): Promise<void> => {
    await fetchHere({ ...session, mirror }, model, choices).catch((error: unknown) => {
      throw cannotFetch(model, asCourierError(error));
    });
  };
  const { fetched, status } = await fetchEach(session, pulls, fetch);
  return { pulls: ofModels(pulls, fetched), start: async (pull) => await startPull(session, pull, choices), status };
}

/** gpu-server starts the pulls itself, also without gpuctl. */
async function fetchOnServer(
  session: Session,
  mirror: ServersMirror,
  pulls: readonly AskedPull[],
  choices: StartChoices,
): Promise<Mirrored> {
  const fetches = new Map<string, FetchDocument>();
  const { fetched, status } = await fetchEach(session, pulls, async (model) => {
    const agents = ofModels(pulls, new Set([model])).map(({ agent }) => agent);
    const { fetch } = await mirror.pull(model, agents, choices);
    if (fetch === undefined) return;
    const isSent = (seen: FetchDocument): boolean =>
      isEnded(seen) && (seen.state !== "succeeded" || seen.pulls?.every(({ job }) => job !== null) === true);
    const ended = await followFetch(session, fetch, isSent);
    if (ended.state !== "succeeded") throw fetchFailure(ended);
    fetches.set(model, ended);
  });
  const start = async (pull: AskedPull): Promise<Pulled> => await startedBy(session, fetches.get(pull.model), pull);
  return { pulls: ofModels(pulls, fetched), start, status };
}

/** --detach: gpu-server fetches, and starts the pulls. @returns the exit status */
export async function leaveToServer(
  session: Session,
  mirror: ServersMirror,
  pulls: readonly AskedPull[],
  choices: StartChoices,
): Promise<number> {
  const { printer } = session;
  const rows: string[][] = [];
  const models = [...new Set(pulls.map((pull) => pull.model))];
  const status = await startEach(session, models, async (model) => {
    const agents = ofModels(pulls, new Set([model])).map(({ agent }) => agent);
    const started = await mirror.pull(model, agents, choices);
    if (printer.json) printer.documentLine(started);
    rows.push([started.fetch?.id ?? "", model, started.fetch?.state ?? "", rangesText(agents)]);
  });
  if (printer.json || rows.length === 0) return status;
  printer.table(COLUMNS, rows);
  printer.note("gpu-server pulls them on the agents once they are in the mirror", "gpuctl mirror fetches, gpuctl jobs");
  return status;
}

async function fetchEach(
  { printer }: Session,
  pulls: readonly AskedPull[],
  fetch: (model: string) => Promise<void>,
): Promise<{ readonly fetched: ReadonlySet<string>; readonly status: number }> {
  const fetched = new Set<string>();
  let status = 0;
  for (const model of new Set(pulls.map((pull) => pull.model))) {
    try {
      await fetch(model);
      fetched.add(model);
    } catch (error) {
      const { code } = asCourierError(error);
      if (code === "cancelled") throw error;
      printer.error(error);
      status ||= ERROR_CODES[code].exit;
    }
  }
  return { fetched, status };
}

/** The job that gpu-server started, or why it could not. */
async function startedBy(
  { courier, io }: Session,
  fetch: FetchDocument | undefined,
  { agent, model }: AskedPull,
): Promise<Pulled> {
  const pull = fetch?.pulls?.find((each) => each.agent === agent);
  try {
    if (pull === undefined) throw new CourierError("not_found", `gpu-server does not know ${agent}`);
    if (pull.code !== null) throw new CourierError(pull.code, pull.error ?? "The pull was refused");
    if (!pull.job) throw new CourierError("unavailable", "The pull has no id: its agent is a legacy service");
    return { job: await courier.findJob(pull.job, { signal: io.signal }) };
  } catch (error) {
    const failure = asCourierError(error);
    const id = pull?.job ?? Bun.randomUUIDv7();
    return { job: refusedJob(agent, model, failure, id, isoTime(courier.now())), error: failure };
  }
}

function ofModels(pulls: readonly AskedPull[], models: ReadonlySet<string>): readonly AskedPull[] {
  return pulls.filter(({ model }) => models.has(model));
}
