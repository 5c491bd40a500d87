// The verb nats-permissions: prints the configuration of nats-server that confines each agent to its own entries.
import { CourierError } from "../../../base/errors.ts";
import { AgentName } from "../../../protocol.ts";
import { Layout } from "../../../transport/nats/layout.ts";
import { requirePrefix } from "../../../transport/nats/options.ts";
import {
  type AgentUser,
  accountsConfiguration,
  agentsConfiguration,
  PUBLIC_KEY,
} from "../../../transport/nats/permissions.ts";
import { examples, type Program } from "../../base_command.ts";
import type { Printer } from "../../output/printer.ts";

const ABOUT =
  "Print the part of nats-server's configuration that lets each agent use its own commands, responses and state, and nothing " +
  "else.\n\n" +
  "Without agents: the accounts, with the users of servers and operators, and how to set all of it up. With agents: their " +
  "users, for the file that the accounts include. The names on NATS begin with --nats-prefix. Needs no connection, and " +
  "changes nothing.";

const KEYS_TEXT = `
Each program has a key of its own: a seed (SU...), which stays in a file where
the program runs, and a public key (U...), which nats-server gets. The command
"nk -gen user -pubout" prints both. gpuctl invents no key: it prints a variable
such as $nkey_gpu-1 for one that is missing, and nats-server does not start
before you replace it.`;

/** Needs no transport: nats-server may not run yet. */
export function addNatsPermissionsVerb(program: Program, openPrinter: () => Printer): void {
  const withKeys = "nats-permissions $(cat agents.txt) > gpu_courier_agents.conf";
  program
    .command("nats-permissions")
    .summary("Print the configuration of nats-server for agents, servers and operators.")
    .description(ABOUT)
    .argument("[agent...]", "an agent, with its public key if it is known: gpu-1, or gpu-1=U...")
    .addHelpText("after", `${KEYS_TEXT}\n${examples("nats-permissions > gpu_courier.conf", withKeys)}`)
    .action((agents) => {
      const prefix = requirePrefix(program.opts().natsPrefix);
      const layout = new Layout(prefix);
      const users = distinct(agents.map(parseAgentUser));
      const text = users.length === 0 ? accountsConfiguration(layout) : agentsConfiguration(layout, users);
      const printer = openPrinter();
      if (printer.json) printer.document({ prefix, agents: users.map(({ name }) => name), configuration: text });
      else printer.text(text);
    });
}

/** @throws CourierError `invalid`, which does not repeat what may be a secret */
function parseAgentUser(text: string): AgentUser {
  const [name = "", publicKey] = text.split(/=(.*)/s, 2);
  const hint = "Write gpu-1, or gpu-1=U... with its public key, which `nk -gen user -pubout` prints as the second line";
  if (!AgentName.safeParse(name).success)
    throw new CourierError("invalid", `Not the name of an agent: ${JSON.stringify(name)}`, { hint });
  if (publicKey === undefined || PUBLIC_KEY.test(publicKey)) return { name, publicKey };
  const what = publicKey.startsWith("SU") ? "its seed, which is secret" : "no public key of a user";
  throw new CourierError("invalid", `Cannot use the key of ${name}: this is ${what}`, { hint });
}

/** The last one counts: a list of agents may have a later line with a new key. */
function distinct(agents: readonly AgentUser[]): AgentUser[] {
  return [...new Map(agents.map((agent) => [agent.name, agent])).values()];
}
