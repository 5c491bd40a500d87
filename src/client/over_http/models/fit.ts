// A model as its registry has it now, and which boxes it fits, through gpu-server.
import { asCourierError } from "../../../base/errors.ts";
import type { AgentView } from "../../../courier/agent_view.ts";
import { ModelFitDocument } from "../../../documents/models/fit.ts";
import { tooOld } from "../failures.ts";
import type { ServerHttp } from "../http.ts";

/** gpu-server asks registries for this long. */
const ASKING_MS = 30_000;

/** @param views undefined: of all agents. @throws CourierError `unimplemented` for an older server */
export async function readFitOf(
  http: ServerHttp,
  model: string,
  views: readonly AgentView[] | undefined,
  signal: AbortSignal | undefined,
): Promise<ModelFitDocument> {
  try {
    const found = await http.get("/v1/fit", ModelFitDocument, { query: { model }, signal, minimumMs: ASKING_MS });
    const { unavailable = [], ...rest } = found;
    const isMeant = ({ agent }: { readonly agent: string }): boolean =>
      views === undefined || views.some((view) => view.agent === agent);
    const away = unavailable.filter(isMeant);
    return { ...rest, agents: rest.agents.filter(isMeant), ...(away.length === 0 ? {} : { unavailable: away }) };
  } catch (error) {
    throw asCourierError(error).code === "not_found" ? tooOld(http.base, "GET /v1/fit") : error;
  }
}
