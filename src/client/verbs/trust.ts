// The verb trust: the keys by which the agents are known.
import { CourierError } from "../../base/errors.ts";
import { keyOf, trustedDocument } from "../../documents/trust.ts";
import { AgentName } from "../../protocol.ts";
import {
  type Decision,
  describeDecision,
  parseGivenKey,
  trustKey,
  trustUnsigned,
} from "../../trust/agents/decisions.ts";
import { examples, type Program } from "../base_command.ts";
import { connected, type Run, type Session, type Verb } from "../session.ts";

/** @param run without a connection: only a key that was not given must be seen */
export function addTrustVerb(program: Program, run: Run): void {
  program
    .command("trust")
    .summary("Show the agents' keys, or confirm or replace one.")
    .description(
      "Show the keys by which the agents are known. With an agent, confirm its key, or accept the one that it has now; " +
        "with a key, as `gpu-agent key` prints it, only that one.",
    )
    .argument("[agent]")
    .argument("[key...]", "the output of `gpu-agent key` on the box")
    // Not from the environment: it would undo the protection of whatever agent is named.
    .option("--unsigned", "this agent does not sign: after a downgrade on purpose", false)
    .addHelpText(
      "after",
      examples("trust", "trust gpu-1", "trust gpu-1 ed25519 Fmkn1Ovt...=", "trust gpu-1 --unsigned"),
    )
    .action(async (agent, key, { unsigned }) => await run(chosen(agent, key.join(" "), unsigned)));
}

function chosen(agent: string | undefined, key: string, unsigned: boolean): Verb {
  if (agent === undefined) return listKeys;
  if (!AgentName.safeParse(agent).success) throw wrong("The first argument is not an agent's name");
  if (unsigned && key !== "") throw wrong("--unsigned and a key exclude each other");
  if (unsigned) return async (session) => decide(session, trustUnsigned(session.courier.keys, agent));
  if (key === "") return connected(async (session) => await trustSeen(session, agent));
  const given = parseGivenKey(key);
  return async (session) => decide(session, trustKey(session.courier.keys, agent, given));
}

async function listKeys({ courier, printer }: Session): Promise<number> {
  if (courier.keys.failure !== null) throw courier.keys.failure;
  const known = courier.keys.all();
  if (printer.json) printer.document({ agents: known.map(({ agent, key }) => ({ agent, ...keyOf(key) })) });
  else if (known.length === 0)
    printer.note("No agent has signed yet", "gpuctl agents learns the keys of those that sign");
  else {
    const rows = known.map(({ agent, key }) => [agent, key.id ?? "", key.status ?? ""]);
    printer.table([{ title: "AGENT" }, { title: "KEY" }, { title: "STATUS" }], rows);
  }
  return 0;
}

async function trustSeen(session: Session, agent: string): Promise<number> {
  await session.courier.agents();
  return decide(session, trustKey(session.courier.keys, agent, undefined));
}

function decide({ printer, saveKeys }: Session, decision: Decision): number {
  saveKeys();
  if (printer.json) printer.document(trustedDocument(decision.agent, decision.before, decision.after));
  else printer.line(describeDecision(decision));
  return 0;
}

function wrong(message: string): CourierError {
  return new CourierError("invalid", message, { hint: "gpuctl help trust" });
}
