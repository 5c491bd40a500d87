// Which way gpuctl reaches the fleet: over the share itself, or through gpu-server.
import { CourierError } from "../../base/errors.ts";
import { addressesOf, natsFlagsOf } from "../../program/transport_flags.ts";
import type { Program } from "../base_command.ts";
import { type ClientIo, WATCH, type Watch } from "../io.ts";
import { openShare } from "../on_share/open.ts";
import { openServer, type ServerOptions } from "../over_http/open.ts";
import type { Session } from "../session.ts";
import { type Flags, refuseIgnoredFlags } from "./ignored_flags.ts";
import type { Reached } from "./in_session.ts";

/**
 * Opens the way that the command line names.
 * @param verb the one that runs; undefined: it has no flags of its own
 * @throws CourierError when it names none, or both, or a flag that has no meaning on that way
 */
export async function reach(
  program: Program,
  verb: Flags | undefined,
  io: ClientIo,
  seen: Pick<Session, "printer" | "waiting">,
): Promise<Reached> {
  const { timeout, verifyAgents, operatorKeys } = program.opts();
  const server = serverOptions(program);
  refuseIgnoredFlags(server === undefined ? "share" : "server", verb === undefined ? [program] : [program, verb]);
  if (server !== undefined) return openServer(io, server, seen.waiting);
  const watch = chosenWatch(program.opts());
  return await openShare(
    io,
    {
      addresses: addressesOf(program),
      nats: natsFlagsOf(program.opts()),
      watch,
      timeoutMs: timeout * 1000,
      verifyAgents,
      operatorKeys,
    },
    seen,
  );
}

/**
 * How to reach gpu-server; undefined: the share is used. One that is typed wins over one of the environment.
 * @throws CourierError `invalid` when both are typed, or both come from the environment
 */
export function serverOptions(program: Program): ServerOptions | undefined {
  const { server, tokenFile, ca, serverPlain: mayBePlain = false, timeout } = program.opts();
  if (server === undefined) return undefined;
  const source = program.getOptionValueSource("server");
  const others = (["share", "transport"] as const).map((name) => [name, program.getOptionValueSource(name)] as const);
  if (source === "env" && others.some(([, otherSource]) => otherSource === "cli")) return undefined;
  for (const [other, otherSource] of others) {
    if (source !== otherSource) continue;
    const variable = `GPU_COURIER_${other.toUpperCase()}`;
    const [flags, hint] =
      source === "cli"
        ? [`--server and --${other}`, "Use one of them"]
        : [`GPU_COURIER_SERVER and ${variable}`, `Unset one of them, or choose with --server or --${other}`];
    throw new CourierError("invalid", `${flags} exclude each other`, { hint });
  }
  return { server, tokenFile, ca, mayBePlain, timeoutMs: timeout * 1000 };
}

/** Without a value the flag does not choose how to watch the share: the environment does. */
function chosenWatch({
  shareWatch,
  watch,
}: {
  shareWatch?: Watch | undefined;
  watch?: Watch | true | undefined;
}): Watch {
  if (shareWatch !== undefined) return shareWatch;
  if (watch !== true) return watch ?? WATCH[0];
  return WATCH.find((how) => how === process.env["GPU_COURIER_WATCH"]) ?? WATCH[0];
}
