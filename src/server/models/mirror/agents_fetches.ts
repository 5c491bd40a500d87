// The fetches that agents run, for the routes: starting and cancelling one is a command to its agent.
import { CourierError } from "../../../base/errors.ts";
import { agentFetchDocument, fetchesInStates } from "../../../documents/models/agent_fetches.ts";
import type { FetchDocument } from "../../../documents/models/mirror.ts";
import type { Response } from "../../../protocol.ts";
import type { Services } from "../../services.ts";

type Requester = Parameters<Services["courier"]["request"]>[2];

/** As the states of the agents show them that the caller sees. */
export function agentsFetches({ fleet }: Pick<Services, "fleet">): readonly FetchDocument[] {
  return fetchesInStates(fleet.lastKnown());
}

/**
 * Starts or joins the fetch of a model.
 * @param model in Ollama's form
 * @throws CourierError `forbidden` for a box that fetches none; as `Courier.request()`
 */
export async function startOnAgent(
  { connection, courier }: Services,
  agent: string,
  model: string,
  requester: Requester,
): Promise<FetchDocument> {
  connection.requireOpen();
  return shown(agent, await courier.request(agent, { verb: "fetch_model", modelName: model }, requester));
}

/** @throws CourierError `conflict` when it has ended; as `Courier.request()` */
export async function cancelOnAgent(
  { connection, courier }: Services,
  agent: string,
  id: string,
  requester: Requester,
): Promise<FetchDocument> {
  connection.requireOpen();
  return shown(agent, await courier.request(agent, { verb: "cancel_job", arguments: { job_id: id } }, requester));
}

function shown(agent: string, { fetch }: Pick<Response, "fetch">): FetchDocument {
  if (fetch !== undefined) return agentFetchDocument(agent, fetch);
  throw new CourierError("internal", `${agent} does not show the fetch`);
}
