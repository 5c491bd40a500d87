// The verb ollama: Ollama's own command line on a box that it cannot reach.
import { randomBytes } from "node:crypto";
import { CourierError } from "../../../base/errors.ts";
import { ExitStatus } from "../../../program/exit.ts";
import { examples, type Program } from "../../base_command.ts";
import type { ClientIo } from "../../io.ts";
import type { Run } from "../../session.ts";
import type { ServerWay } from "../open.ts";
import { oneAgent, serverWay } from "./box.ts";
import { Forwarder } from "./forwarder.ts";
import { openPort } from "./port.ts";

const SECRET_BYTES = 16;

export function addOllamaVerb(program: Program, io: ClientIo, run: Run): void {
  program
    .command("ollama")
    .summary("Run the ollama command line on one agent.")
    .description(
      "Run the ollama command line on one agent, through gpu-server. It must be installed on this machine, which needs no " +
        "Ollama server of its own. It can list, show, pull, copy, load, unload and delete models; prompts are not carried.\n" +
        "The exit status is that of ollama. After Ctrl-C a pull continues.",
    )
    .argument("<argument...>", "what ollama gets, after --")
    .addHelpText("after", examples("ollama -- list", "ollama --agent gpu-1 -- pull phi4", "ollama --agent gpu-1 -- ps"))
    .action(async (words) => {
      const way = serverWay(program, io, "ollama");
      const path = findOllama();
      const agents: string[] = [];
      await run(async (session) => {
        agents.push(await oneAgent(session, "ollama"));
        return 0;
      });
      // Outside of the session, which ends soon after Ctrl-C: when to end then is for ollama to say.
      for (const agent of agents) {
        const status = await runOllama({ io, way, agent }, [path, ...words]);
        if (status !== 0) throw new ExitStatus(status);
      }
    });
}

interface Box {
  readonly io: ClientIo;
  readonly way: ServerWay;
  readonly agent: string;
}

/** @returns its exit status */
async function runOllama({ io, way, agent }: Box, command: readonly string[]): Promise<number> {
  const ended = new AbortController();
  // Other users of this machine reach the port too, and only the environment of this one program has the path.
  const prefix = `/${randomBytes(SECRET_BYTES).toString("hex")}`;
  const forwarder = new Forwarder({ way, agent, prefix, signal: ended.signal });
  const port = openPort(0, async (request, number) => await forwarder.answer(request, number));
  try {
    return await io.runProgram(command, { ...process.env, OLLAMA_HOST: `${port.url}${prefix}` });
  } finally {
    ended.abort();
    await port.close();
  }
}

/** @throws CourierError `unavailable` */
function findOllama(): string {
  const path = Bun.which("ollama", { PATH: process.env["PATH"] ?? "" });
  if (path !== null) return path;
  throw new CourierError("unavailable", "There is no program ollama on the PATH", {
    hint: "Install it (https://ollama.com/download), or do without: gpuctl list, pull, rm and ps do the same",
  });
}
