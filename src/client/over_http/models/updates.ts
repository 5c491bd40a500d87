// The newer models that gpu-server knows of, for some agents.
import { asCourierError } from "../../../base/errors.ts";
import type { AgentView } from "../../../courier/agent_view.ts";
import { UpdatesDocument } from "../../../documents/models/updates.ts";
import { tooOld } from "../failures.ts";
import type { ServerHttp } from "../http.ts";

/** gpu-server asks registries for this long. */
const ASKING_MS = 30_000;

/** @param views undefined: of all agents. @throws CourierError `unimplemented` for an older server */
export async function readUpdatesOf(
  http: ServerHttp,
  views: readonly AgentView[] | undefined,
  pattern: string,
  signal: AbortSignal | undefined,
): Promise<UpdatesDocument> {
  try {
    const query = { name: pattern === "*" ? undefined : pattern };
    const found = await http.get("/v1/updates", UpdatesDocument, { query, signal, minimumMs: ASKING_MS });
    return views === undefined ? found : onlyOf(found, new Set(views.map(({ agent }) => agent)));
  } catch (error) {
    throw asCourierError(error).code === "not_found" ? tooOld(http.base, "GET /v1/updates") : error;
  }
}

function onlyOf({ updates, unavailable }: UpdatesDocument, agents: ReadonlySet<string>): UpdatesDocument {
  const away = unavailable?.filter(({ agent }) => agents.has(agent)) ?? [];
  return {
    updates: updates.flatMap((update) => {
      const having = update.agents.filter((agent) => agents.has(agent));
      return having.length === 0 ? [] : [{ ...update, agents: having }];
    }),
    ...(away.length === 0 ? {} : { unavailable: away }),
  };
}
