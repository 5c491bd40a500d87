// The doctor through gpu-server: whether it can be reached, then the checks that it makes where the share is mounted.
import { z } from "zod";
import { about, type Check } from "../../base/check.ts";
import { asCourierError } from "../../base/errors.ts";
import type { Agents } from "../../courier/selection.ts";
import { DoctorDocument } from "../../documents/doctor.ts";
import { tooOld, wrongPath } from "./failures.ts";
import type { ServerHttp } from "./http.ts";

/** The kinds of checks that each agent has. */
const OF_AGENTS: ReadonlySet<string> = new Set(["agent", "clock", "ollama", "ping"]);

/** The pings end after 10 s, and every look at a share that hangs soon, but there are several. */
const EXAMINATION_MS = 30_000;

/**
 * @param choose the names of the agents that are meant
 * @param names undefined: all
 */
export async function* examineServer(
  http: ServerHttp,
  choose: (names: Agents | undefined) => Promise<readonly string[]>,
  names: Agents | undefined,
  signal: AbortSignal,
): AsyncGenerator<Check> {
  let document: DoctorDocument;
  try {
    document = await http.get("/v1/doctor", DoctorDocument, { signal, minimumMs: EXAMINATION_MS });
  } catch (error) {
    const isMissing = asCourierError(error).code === "not_found";
    yield about("server").failedBy(isMissing ? await whyMissing(http, signal) : error);
    return;
  }
  yield about("server").ok(`gpu-server at ${http.base} made the checks below`);
  if (names === undefined || names === "all") {
    yield* document.checks;
    return;
  }
  const chosen = await choose(names).catch((error: unknown) => asCourierError(error));
  const isMeant = ({ check, subject }: Check): boolean =>
    !OF_AGENTS.has(check) || subject === null || (!(chosen instanceof Error) && chosen.includes(subject));
  yield* document.checks.filter(isMeant);
  if (chosen instanceof Error) yield about("fleet").failedBy(chosen);
}

/** Every release has the route of the agents, unless the path of the address is wrong. */
async function whyMissing(http: ServerHttp, signal: AbortSignal): Promise<unknown> {
  try {
    await http.get("/v1/agents", z.unknown(), { signal });
    return tooOld(http.base, "GET /v1/doctor");
  } catch (error) {
    return asCourierError(error).code === "not_found" ? wrongPath(http.base) : error;
  }
}
