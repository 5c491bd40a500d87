// The one box that a verb makes reachable, and the way to it.
import { CourierError } from "../../../base/errors.ts";
import { rangesText } from "../../../base/order.ts";
import type { Program } from "../../base_command.ts";
import type { ClientIo } from "../../io.ts";
import { serverOptions } from "../../run/reach.ts";
import type { Session } from "../../session.ts";
import { type ServerWay, wayTo } from "../open.ts";

/** @throws CourierError `invalid` when gpuctl uses a share */
export function serverWay(program: Program, io: ClientIo, verb: string): ServerWay {
  const options = serverOptions(program);
  if (options !== undefined) return wayTo(io, options);
  throw new CourierError(
    "invalid",
    `gpuctl ${verb} needs gpu-server, because a share carries no requests of Ollama's API`,
    {
      hint: "Name it with --server URL or GPU_COURIER_SERVER; its token is in --token-file, or in gpuctl's settings folder",
    },
  );
}

/**
 * The agent that the command line means, or the only one. To find it shows whether gpu-server is reached and takes the
 * token.
 * @throws CourierError `conflict` when there are several; `not_found`; `unavailable`
 */
export async function oneAgent({ courier, agents }: Session, verb: string): Promise<string> {
  const [first, ...others] = await courier.choose(agents);
  if (first !== undefined && others.length === 0) return first.agent;
  const names = [first, ...others].flatMap((view) => (view === undefined ? [] : [view.agent]));
  throw new CourierError("conflict", `gpuctl ${verb} is for one agent, not for ${names.length}: ${rangesText(names)}`, {
    hint: "Choose one by its name: --agent NAME",
  });
}
