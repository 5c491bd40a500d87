// The verb trust: the keys by which the agents are known.
import { CourierError } from "../../base/errors.ts";
import { keyOf, trustedDocument } from "../../documents/trust.ts";
import { AgentName } from "../../protocol.ts";
import { describeDecision, parseGivenKey } from "../../trust/agents/decisions.ts";
import { examples, type Program } from "../base_command.ts";
import type { Run, Session, Verb } from "../session.ts";

/** @param run without a connection: only a key that was not given must be seen */
export function addTrustVerb(program: Program, run: Run): void {
  program
    .command("trust")
    .summary("Show the agents' keys, or confirm or replace one.")
    .description(
      "Show the keys by which the agents are known. With an agent, confirm its known key. " +
        "A key that replaces it is given as `gpu-agent key` prints it, or by its id, which `agents` shows at a conflict.",
    )
    .argument("[agent]")
    .argument(
      "[key...]",
      "the output of `gpu-agent key` on the box, or the id of the known key or of the one in conflict",
    )
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
  const choice = unsigned ? "unsigned" : { key: key === "" ? undefined : parseGivenKey(key) };
  return async ({ courier, printer }) => {
    const decision = await courier.trust(agent, choice);
    if (printer.json) printer.document(trustedDocument(decision.agent, decision.before, decision.after));
    else printer.line(describeDecision(decision));
    return 0;
  };
}

async function listKeys({ courier, printer }: Session): Promise<number> {
  const known = await courier.knownKeys();
  if (printer.json) printer.document({ agents: known.map(({ agent, key }) => ({ agent, ...keyOf(key) })) });
  else if (known.length === 0)
    printer.note("No agent has signed yet", "gpuctl agents learns the keys of those that sign");
  else {
    const rows = known.map(({ agent, key }) => [agent, key.id ?? "", key.status ?? ""]);
    printer.table([{ title: "AGENT" }, { title: "KEY" }, { title: "STATUS", flexible: true }], rows);
  }
  return 0;
}

function wrong(message: string): CourierError {
  return new CourierError("invalid", message, { hint: "gpuctl help trust" });
}
