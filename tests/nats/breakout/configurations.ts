// The configurations that somebody tries to break out of: the printed one, and others that show what its parts are for.
import { nkeys } from "@nats-io/transport-node";
import { accountsConfiguration, agentsConfiguration } from "#src/transport/nats/permissions.ts";
import { ATTACKER, layout, VICTIM } from "./names.ts";
import { type Options } from "./site.ts";

const ACCOUNTS = "gpu_courier.conf";
const AGENTS = "gpu_courier_agents.conf";

interface Everybody {
  readonly seeds: NonNullable<Options["seeds"]>;
  readonly accounts: string;
  readonly agents: string;
}

/** The printed texts with everybody's keys. */
function everybody(): Everybody {
  const keys = { server: nkeys.createUser(), operator: nkeys.createUser(), store: nkeys.createUser() };
  const agents = { attacker: nkeys.createUser(), victim: nkeys.createUser() };
  return {
    seeds: {
      server: keys.server.getSeed(),
      operator: keys.operator.getSeed(),
      store: keys.store.getSeed(),
      attacker: agents.attacker.getSeed(),
      victim: agents.victim.getSeed(),
    },
    accounts: accountsConfiguration(layout)
      .replace("$nkey_server", keys.server.getPublicKey())
      .replace("$nkey_operator", keys.operator.getPublicKey())
      .replace("#{ nkey: $nkey_store }", `{ nkey: ${keys.store.getPublicKey()} }`),
    agents: agentsConfiguration(layout, [
      { name: ATTACKER, publicKey: agents.attacker.getPublicKey() },
      { name: VICTIM, publicKey: agents.victim.getPublicKey() },
    ]),
  };
}

/** As the texts say to use them. @param change of both texts */
export function printed(change: (text: string) => string = (text) => text): Options {
  const { seeds, accounts, agents } = everybody();
  return {
    config: `accounts { include "${ACCOUNTS}" }`,
    files: { [ACCOUNTS]: change(accounts), [AGENTS]: change(agents) },
    seeds,
  };
}

/** The same permissions, and all users in the account of the buckets. */
export function oneAccount(): Options {
  const { seeds, accounts, agents } = everybody();
  const server = /\{ nkey: U\w+ \}/.exec(accounts)?.[0] ?? "";
  const users = agents.replace("users: [", `users: [ ${server}`);
  return { config: `accounts { GPU_COURIER: { jetstream: enabled\n${users}} }`, seeds };
}

/** As they are printed, without keys. */
export function withoutKeys(): Options {
  const files = {
    [ACCOUNTS]: accountsConfiguration(layout),
    [AGENTS]: agentsConfiguration(layout, [{ name: ATTACKER }]),
  };
  return { config: `accounts { include "${ACCOUNTS}" }`, files };
}
