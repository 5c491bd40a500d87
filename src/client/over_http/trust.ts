// A decision about an agent's key, made on gpu-server.
import { TrustedDocument } from "../../documents/trust.ts";
import type { Decision } from "../../trust/agents/decisions.ts";
import type { KeyChoice } from "../fleet_courier.ts";
import type { ServerHttp } from "./http.ts";

export async function decide(http: ServerHttp, agent: string, choice: KeyChoice): Promise<Decision> {
  const body = choice === "unsigned" ? { unsigned: true } : choice.key === undefined ? {} : { key: choice.key };
  const decided = await http.send("POST", `/v1/agents/${agent}/trust`, TrustedDocument, { body });
  const { key_id = null, key_status = null, previous_key_id } = decided;
  const status = key_status === "conflict" ? "confirmed" : key_status;
  const after = { id: key_id, status, trouble: null };
  const before = previous_key_id === undefined ? null : { id: previous_key_id, status: null, trouble: null };
  return { agent: decided.agent, before, after };
}
