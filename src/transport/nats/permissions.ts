// The part of nats-server's configuration that confines each agent to its own entries: accounts, and permissions of users.
//
// Permissions check the subject of a message only, so each agent is a user of an account without buckets, where all answers to
// its requests end: docs/decisions/0043-agents-on-nats-have-their-own-account.md.
import { type BucketName, KEYS, type Layout } from "./layout.ts";

/** An agent as a user of NATS. */
export interface AgentUser {
  readonly name: string;
  /** Its public nkey, `U…`. Without it the text has a variable for it, and nats-server does not start. */
  readonly publicKey?: string | undefined;
}

/** A public nkey of a user. */
export const PUBLIC_KEY = /^U[A-Z2-7]{55}$/;

/** What deletes or changes whole buckets. gpuctl does nothing of it. */
const WHOLE_BUCKETS = [
  "$JS.API.STREAM.DELETE.*",
  "$JS.API.STREAM.UPDATE.*",
  "$JS.API.STREAM.RESTORE.*",
  "$JS.API.STREAM.SNAPSHOT.*",
  "$JS.API.ACCOUNT.>",
];

/** The subjects that an agent may use. With `*` as its name: those that all agents may use. */
export function agentSubjects(layout: Layout, agent: string) {
  const own: readonly (readonly [BucketName, string])[] = [
    ["states", KEYS.state(agent)],
    ["responses", KEYS.response("*", agent, "*")],
    ["commands", KEYS.inbox(agent)],
    // It removes its commands itself.
    ["commands", KEYS.command(agent, "*")],
    ["presence", KEYS.agent(agent)],
    ["states", KEYS.clock(agent)],
  ];
  // A client may put `>` where a permission has `*` at its end: none ends so, but below the agent's own name.
  const readOnly: readonly (readonly [BucketName, string])[] = [
    ["states", KEYS.roster],
    ["responses", KEYS.sender("*")],
  ];
  return {
    publish: [
      ...own.map(([bucket, key]) => layout.subject(bucket, key)),
      layout.heartbeat(agent),
      ...[...own, ...readOnly].map(([bucket, key]) => layout.getSubject(bucket, key)),
    ],
    subscribe: [`_INBOX_${agent}.>`, layout.wake(agent)],
  };
}

/** The names that the configuration of a prefix has. Several may share one NATS. */
function namesOf({ prefix }: Layout) {
  const account = prefix.toUpperCase();
  const [agentsAccount, storeAccount] = [`${account}_AGENTS`, `${account}_STORE`];
  return { account, agentsAccount, storeAccount, file: `${prefix}.conf`, agentsFile: `${prefix}_agents.conf` };
}

/** The accounts, as text for a file that nats-server's own configuration includes. */
export function accountsConfiguration(layout: Layout): string {
  const { account, agentsAccount, storeAccount, agentsFile } = namesOf(layout);
  const services = agentSubjects(layout, "*").publish;
  return `${accountsComment(layout)}
# The buckets, and the programs that use all of them.
${account}: {
  jetstream: enabled
  users: [
    # gpu-server, one line for each.
    { nkey: $nkey_server }
    # gpuctl, one line for each operator.
    { nkey: $nkey_operator, permissions: { publish: { deny: [
${listed(WHOLE_BUCKETS, (subject) => JSON.stringify(subject), 6)}
    ] } } }
  ]
  exports: [
${listed(services, (subject) => `{ service: ${JSON.stringify(subject)}, accounts: [${agentsAccount}] }`)}
    { stream: ${JSON.stringify(layout.wake("*"))}, accounts: [${agentsAccount}] }
  ]
}

# The agents. It has no JetStream: answers to their requests end here, whatever subject they ask for.
${agentsAccount}: {
  imports: [
${listed(services, (subject) => `{ service: { account: ${account}, subject: ${JSON.stringify(subject)} } }`)}
    { stream: { account: ${account}, subject: ${JSON.stringify(layout.wake("*"))} } }
  ]
  include "${agentsFile}"
}

# What gpu-servers with --store nats share: tokens, keys of agents, the log of ended jobs, the audit. Nothing leads there from
# the other accounts: a user who writes there is an administrator of gpu-server, and operators are not.
${storeAccount}: {
  jetstream: enabled
  users: [
    # gpu-server --nats-store-creds, one line for each, with another key than above.
    #{ nkey: $nkey_store }
  ]
}
`;
}

/** The users of these agents, as text for a file of its own: the configuration of the accounts includes it. */
export function agentsConfiguration(layout: Layout, agents: readonly AgentUser[]): string {
  const { agentsFile } = namesOf(layout);
  const missing = agents.filter(({ publicKey }) => publicKey === undefined).map(({ name }) => name);
  const [example] = missing;
  return `# ${agentsFile}: what each agent may do on NATS. Its file of accounts includes this one.
# It has all agents: print it again, with all of them, when one is added.
${example === undefined ? "" : `#\n# Missing: the public keys of ${missing.join(", ")}. Replace $nkey_${example} by the key, U…, or print this\n# again with ${example}=U… . Until then nats-server does not start.\n`}
users: [
${agents.map((agent) => agentUser(layout, agent)).join("\n")}
]
`;
}

function agentUser(layout: Layout, { name, publicKey }: AgentUser): string {
  const { publish, subscribe } = agentSubjects(layout, name);
  const quoted = (subject: string): string => JSON.stringify(subject);
  return `  # ${name}
  { nkey: ${publicKey ?? `$nkey_${name}`}, permissions: {
    publish: { allow: [
${listed(publish, quoted, 6)}
    ] }
    subscribe: { allow: [${subscribe.map(quoted).join(", ")}] }
  } }`;
}

function listed(subjects: readonly string[], line: (subject: string) => string, indent = 4): string {
  return subjects.map((subject) => `${" ".repeat(indent)}${line(subject)}`).join("\n");
}

function accountsComment(layout: Layout): string {
  const { file, agentsFile } = namesOf(layout);
  return `# ${file}: the accounts of gpu-courier on NATS, for nats-server 2.11.15, 2.12.6 or newer: earlier ones let a
# client have traces of its messages written anywhere (CVE-2026-33249).
#
# 1. Put it beside nats-server.conf, which includes it and has these settings:
#
#      accounts { include "${file}" }
#      jetstream { store_dir: "/var/lib/nats", sync_interval: always }
#      max_payload: 8MB
#      tls { cert_file: "/etc/nats/cert.pem", key_file: "/etc/nats/key.pem" }
#
#    Without sync_interval a power cut of the server loses what it acknowledged in the last 2 minutes.
#    Without TLS others on the network read and change everything but what is signed.
# 2. Each program has a key of its own. \`nk -gen user -pubout\` makes one: the seed, SU…, goes into a file that only
#    the program may read (--nats-creds FILE), the public key, U…, to the place of its $nkey_… here.
#    A missing one keeps nats-server from starting.
# 3. Print the agents' permissions, with all agents and their public keys, into the file beside this one:
#
#      gpuctl nats-permissions gpu-1=U… gpu-2=U… > ${agentsFile}
#
# 4. Check it with \`nats-server -t -c nats-server.conf\`, and load it with \`nats-server --signal reload\`.
`;
}
