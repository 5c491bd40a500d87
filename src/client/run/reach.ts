// Which way gpuctl reaches the fleet: over the share itself, or through gpu-server.
import { CourierError } from "../../base/errors.ts";
import { addressesOf, natsFlagsOf } from "../../program/transport_flags.ts";
import type { Program } from "../base_command.ts";
import { type ClientIo, WATCH, type Watch } from "../io.ts";
import { openShare } from "../on_share/open.ts";
import { openServer, type ServerOptions } from "../over_http/open.ts";
import type { Session } from "../session.ts";
import type { Reached } from "./in_session.ts";

/** These flags are about reading the share, which gpu-server does in its own way. */
const OF_THE_SHARE = ["watch", "shareWatch", "verifyAgents", "operatorKeys"] as const;

/** Opens the way that the command line names. @throws CourierError when it names none, or both */
export async function reach(
  program: Program,
  io: ClientIo,
  seen: Pick<Session, "printer" | "waiting">,
): Promise<Reached> {
  const { timeout, verifyAgents, operatorKeys } = program.opts();
  const server = serverOptions(program);
  if (server !== undefined) {
    refuseShareFlags(program);
    return openServer(io, server, seen.waiting);
  }
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
  const sources = [program.getOptionValueSource("server"), program.getOptionValueSource("share")];
  if (sources[0] === sources[1]) {
    const [flags, hint] =
      sources[0] === "cli"
        ? ["--server and --share", "Use one of them"]
        : ["GPU_COURIER_SERVER and GPU_COURIER_SHARE", "Unset one of them, or choose with --server or --share"];
    throw new CourierError("invalid", `${flags} exclude each other`, { hint });
  }
  if (sources[0] === "env" && sources[1] === "cli") return undefined;
  return { server, tokenFile, ca, mayBePlain, timeoutMs: timeout * 1000 };
}

function refuseShareFlags(program: Program): void {
  for (const name of OF_THE_SHARE) {
    const isFollow = name === "watch" && program.opts().watch === true;
    if (isFollow || program.getOptionValueSource(name) !== "cli") continue;
    const shown = program.options.find((option) => option.attributeName() === name)?.long ?? name;
    throw new CourierError("invalid", `${shown} is about the share, and has no meaning with --server`, {
      hint: "gpu-server has the same flag, on its machine",
    });
  }
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
