// The agents that a request to the platform's routes is for.
import type { Context } from "hono";
import { CourierError } from "../../base/errors.ts";
import { AgentName } from "../../protocol.ts";
import type { Env } from "../http/env.ts";
import type { Services } from "../services.ts";

/** The agents to list: `?agent=`, else all (undefined). @throws CourierError `invalid` for an invalid name */
export function namedAgents(context: Context<Env>): readonly string[] | undefined {
  const text = context.req.query("agent");
  if (text === undefined) return undefined;
  const name = AgentName.safeParse(text);
  if (name.success) return [name.data];
  throw new CourierError("invalid", `Cannot use ${JSON.stringify(text.slice(0, 80))} as an agent's name`, {
    hint: "A name has 1 to 63 characters from a-z, 0-9 and -, and does not begin or end with -",
  });
}

/**
 * The one agent to pull or delete on: `?agent=`, else `--default-agent`, else the only agent.
 * @throws CourierError `conflict` with the names of several agents; `unavailable` without any agent; `not_found`
 */
export async function chooseAgent(
  context: Context<Env>,
  { courier, connection, defaultAgent }: Services,
): Promise<string> {
  connection.requireOpen();
  const named = namedAgents(context) ?? (defaultAgent === undefined ? undefined : [defaultAgent]);
  const [view] = await courier.choose(named).catch((error: unknown) => {
    if (!(error instanceof CourierError) || error.code !== "conflict") throw error;
    const hint = "Add ?agent=NAME, or start gpu-server with --default-agent NAME";
    throw new CourierError("conflict", error.message, { hint, cause: error });
  });
  if (view === undefined) throw new CourierError("unavailable", "No agent is online");
  return view.agent;
}

/** Whether `?fresh=true` asks the agents themselves. */
export function isFresh(context: Context<Env>): boolean {
  const text = context.req.query("fresh") ?? "false";
  if (text === "true" || text === "false") return text === "true";
  throw new CourierError("invalid", `Cannot use fresh=${JSON.stringify(text.slice(0, 80))}`, {
    hint: "Use true or false",
  });
}
