// `gpu-server trust ...`: shows the agents' keys, and confirms or replaces one, also while the server runs.
import type { Database } from "bun:sqlite";
import { systemClock } from "../../../base/clock.ts";
import { asCourierError } from "../../../base/errors.ts";
import { type Decision, describeDecision, trustKey, trustUnsigned } from "../../../trust/agents/decisions.ts";
import { KnownAgents } from "../../../trust/agents/known_agents.ts";
import type { KnownAgentsStore } from "../../../trust/agents/store.ts";
import { StoredKnownAgents } from "../known_agents.ts";
import { openStore } from "../store.ts";
import { SharedKnownAgents } from "./known_agents.ts";
import { type StorePlace, storeDir, withStore } from "./open.ts";

type Print = (text: string) => void;

/** Which key an agent gets, beside its document on the share: undefined: the known one; or none. */
export type Choice = { readonly key: string | undefined; readonly seen: string | null } | "unsigned";

export function listKnownAgents(place: StorePlace, { json }: { readonly json: boolean }, print: Print): void {
  const known = withLocal(place, (store) => knownIn(store).all());
  if (json) {
    const entries = known.map(({ agent, key }) => ({ agent, key_id: key.id, key_status: key.status }));
    print(`${JSON.stringify({ agents: entries })}\n`);
  } else for (const { agent, key } of known) print(`${agent.padEnd(20)}  ${key.id ?? "-".padEnd(16)}  ${key.status}\n`);
}

/**
 * While NATS is away the decision counts at the server of this state directory, which takes it to the others later.
 * @throws CourierError as `trustKey()`
 */
export async function trustAgent(place: StorePlace, agent: string, choice: Choice, print: Print): Promise<Decision> {
  let decision: Decision | undefined;
  let unshared: string | null = null;
  try {
    await withStore(place, async ({ database, shareKnownAgents }) => {
      decision = decideIn(storeIn(place, database), agent, choice);
      await shareKnownAgents();
    });
  } catch (error) {
    const { code, message } = asCourierError(error);
    if (place.kind === "sqlite" || code !== "unavailable") throw error;
    unshared = message;
  }
  decision ??= withLocal(place, (store) => decideIn(store, agent, choice));
  print(`${describeDecision(decision)}\n`);
  if (unshared !== null) print(`The other servers get it once this one reaches NATS. ${unshared}\n`);
  return decision;
}

function decideIn(store: KnownAgentsStore, agent: string, choice: Choice): Decision {
  const agents = knownIn(store);
  const decision = decide(agents, agent, choice);
  store.write(agents.unsaved("all"));
  return decision;
}

function decide(agents: KnownAgents, agent: string, choice: Choice): Decision {
  if (choice === "unsigned") return trustUnsigned(agents, agent);
  if (choice.seen !== null) agents.judge(agent, choice.seen);
  return trustKey(agents, agent, choice.key);
}

function knownIn(store: KnownAgentsStore): KnownAgents {
  const agents = new KnownAgents();
  for (const [agent, known] of store.read()) agents.adopt(agent, known);
  return agents;
}

function storeIn({ kind }: StorePlace, database: Database): KnownAgentsStore {
  return kind === "nats" ? new SharedKnownAgents({ database, clock: systemClock }) : new StoredKnownAgents(database);
}

function withLocal<Result>(place: StorePlace, use: (store: KnownAgentsStore) => Result): Result {
  const database = openStore(storeDir(place));
  try {
    return use(storeIn(place, database));
  } finally {
    database.close();
  }
}
