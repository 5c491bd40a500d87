// The fetches that agents run, for the routes: starting and canceling one is a command to its agent.
import { agentFetchDocument, fetchesInStates } from "../../../documents/models/agent_fetches.ts";
import type { FetchDocument } from "../../../documents/models/mirror.ts";
import type { Services } from "../../services.ts";

type Requester = Parameters<Services["courier"]["cancelFetch"]>[2];

/** As the states of the agents show them that the caller sees. */
export function agentsFetches({ fleet }: Pick<Services, "fleet">): readonly FetchDocument[] {
  return fetchesInStates(fleet.lastKnown());
}

/**
 * Starts or joins the fetch of a model.
 * @param model in Ollama's form
 * @throws CourierError `forbidden` for a box that fetches none; as `Courier.fetchModel()`
 */
export async function startOnAgent(
  { connection, courier }: Services,
  agent: string,
  model: string,
  requester: Requester,
): Promise<FetchDocument> {
  connection.requireOpen();
  return agentFetchDocument(agent, await courier.fetchModel(agent, model, requester));
}

/** @throws CourierError `conflict` when it has ended; as `Courier.cancelFetch()` */
export async function cancelOnAgent(
  { connection, courier }: Services,
  agent: string,
  id: string,
  requester: Requester,
): Promise<FetchDocument> {
  connection.requireOpen();
  return agentFetchDocument(agent, await courier.cancelFetch(agent, id, requester));
}
