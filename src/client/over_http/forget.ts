// An agent that is forgotten through gpu-server.
import { asCourierError } from "../../base/errors.ts";
import { ForgottenDocument } from "../../documents/forgotten.ts";
import type { Forgotten } from "../../transport.ts";
import { notGpuServer, tooOld } from "./failures.ts";
import type { ServerHttp } from "./http.ts";

/** @throws CourierError `unimplemented` when the server is too old for it */
export async function forgetAgent(http: ServerHttp, agent: string): Promise<Forgotten> {
  const path = `/v1/agents/${agent}`;
  const { agents } = await http.send("DELETE", path, ForgottenDocument).catch((error: unknown) => {
    // An older server has the path for GET only, and calls that an invalid request, which this cannot be otherwise.
    throw asCourierError(error).code === "invalid" ? tooOld(http.base, "DELETE /v1/agents/{agent}") : error;
  });
  const [forgotten] = agents;
  if (forgotten?.commands == null) throw notGpuServer(http.base, "it forgot no agent");
  return { commands: forgotten.commands };
}
