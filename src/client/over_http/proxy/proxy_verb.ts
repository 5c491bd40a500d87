// The verb proxy: Ollama's API of one box on a port of this machine, until it is stopped.
import { Option } from "@commander-js/extra-typings";
import { parse } from "../../../program/flags.ts";
import { examples, type Program } from "../../base_command.ts";
import type { ClientIo } from "../../io.ts";
import type { Run, Session } from "../../session.ts";
import type { ServerWay } from "../open.ts";
import { oneAgent, serverWay } from "./box.ts";
import { Forwarder } from "./forwarder.ts";
import { openPort } from "./port.ts";

/** Beside Ollama's own, 11434, which a server on this machine may have. */
const DEFAULT_PORT = 11_435;

export function addProxyVerb(program: Program, io: ClientIo, run: Run): void {
  program
    .command("proxy")
    .summary("Offer the Ollama API of one agent on a port of this machine.")
    .description(
      "Offer the Ollama API of one agent on a port of this machine, through gpu-server and with gpuctl's token, until Ctrl-C. " +
        "For Ollama's libraries and programs that use it: every program on this machine reaches the port without a token, " +
        "those of other users too. Web pages do not. Prompts are not carried.",
    )
    // Not from the environment: GPU_COURIER_PORT is gpu-server's.
    .addOption(
      new Option("--port <port>", "port on 127.0.0.1; 0: any free one").argParser(parse.port).default(DEFAULT_PORT),
    )
    .addHelpText("after", examples("proxy --agent gpu-1", "proxy --agent gpu-1 --port 0 --json"))
    .action(async ({ port }) => {
      const way = serverWay(program, io, "proxy");
      await run(async (session) => await serveBox(session, way, port));
    });
}

async function serveBox(session: Session, way: ServerWay, wanted: number): Promise<number> {
  const { printer, io } = session;
  const agent = await oneAgent(session, "proxy");
  const forwarder = new Forwarder({ way, agent, prefix: "", signal: io.signal });
  const port = openPort(wanted, async (request, number) => await forwarder.answer(request, number));
  try {
    const { url } = port;
    if (printer.json) printer.documentLine({ agent, url, server: way.address.base });
    else printer.line(`${agent} is at ${url} until Ctrl-C. For example: OLLAMA_HOST=${url} ollama list`);
    await aborted(io.signal);
  } finally {
    await port.close();
  }
  // It has no other end.
  return 0;
}

async function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve());
  if (!signal.aborted) await promise;
}
