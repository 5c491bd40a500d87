// `gpu-server trust ...`: shows the agents' keys, and confirms or replaces one, also while the server runs.
import { type Decision, describeDecision, trustKey, trustUnsigned } from "../../trust/agents/decisions.ts";
import { KnownAgents } from "../../trust/agents/known_agents.ts";
import { StoredKnownAgents } from "./known_agents.ts";
import { openStore } from "./store.ts";

type Print = (text: string) => void;

/** Which key an agent gets, beside its document on the share: undefined: the known one; or none. */
export type Choice = { readonly key: string | undefined; readonly seen: string | null } | "unsigned";

export function listKnownAgents(stateDir: string, { json }: { readonly json: boolean }, print: Print): void {
  const known = withKnown(stateDir, (agents) => agents.all());
  if (json) {
    const entries = known.map(({ agent, key }) => ({ agent, key_id: key.id, key_status: key.status }));
    print(`${JSON.stringify({ agents: entries })}\n`);
  } else for (const { agent, key } of known) print(`${agent.padEnd(20)}  ${key.id ?? "-".padEnd(16)}  ${key.status}\n`);
}

/** @throws CourierError as `trustKey()` */
export function trustAgent(stateDir: string, agent: string, choice: Choice, print: Print): Decision {
  const decision = withKnown(stateDir, (agents) => decide(agents, agent, choice));
  print(`${describeDecision(decision)}\n`);
  return decision;
}

function decide(agents: KnownAgents, agent: string, choice: Choice): Decision {
  if (choice === "unsigned") return trustUnsigned(agents, agent);
  if (choice.seen !== null) agents.judge(agent, choice.seen);
  return trustKey(agents, agent, choice.key);
}

/** What the use decides is stored. */
function withKnown<Result>(stateDir: string, use: (agents: KnownAgents) => Result): Result {
  const database = openStore(stateDir);
  try {
    const store = new StoredKnownAgents(database);
    const agents = new KnownAgents();
    for (const [agent, known] of store.read()) agents.adopt(agent, known);
    const result = use(agents);
    store.write(agents.unsaved("all"));
    return result;
  } finally {
    database.close();
  }
}
