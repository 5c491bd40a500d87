// What somebody with one agent's credentials may try. Each must work where nothing confines it: otherwise it proves nothing.
import { BUCKETS, KEYS } from "#src/transport/nats/layout.ts";
import { ADDRESS, ATTACKER, layout, SECRET, UNKNOWN, VICTIM } from "./names.ts";
import type { RawClient, RawMessage } from "./raw_client.ts";

export interface Attack {
  readonly name: string;
  readonly run: (attacker: RawClient) => void;
  /** The others do something afterwards, for it to hear. */
  readonly listens?: boolean;
  /** What it must not receive. */
  readonly secret?: RegExp;
  /** nats-server itself stops it, also where nothing confines it. */
  readonly isAlwaysStopped?: boolean;
}

const INBOX = `_INBOX_${ATTACKER}`;
const FORGED = "forged";
const STATES = layout.stream("states");
const COMMANDS = layout.stream("commands");
const EVERY = ">";

/** Requests whose answers come to the attacker's inbox. */
export function requests(
  ...messages: readonly (readonly [subject: string, payload?: object | string, headers?: Record<string, string>])[]
) {
  return (attacker: RawClient): void => {
    attacker.subscribe(`${INBOX}.>`);
    for (const [subject, payload, headers] of messages)
      attacker.publish(subject, { payload: asText(payload), reply: `${INBOX}.answer`, headers });
  };
}

function asText(payload: object | string | undefined): string | undefined {
  return typeof payload === "object" ? JSON.stringify(payload) : payload;
}

function publishes(subject: string, message: RawMessage = {}) {
  return (attacker: RawClient): void => attacker.publish(subject, { payload: FORGED, ...message });
}

const subject = layout.subject.bind(layout);
const getSubject = layout.getSubject.bind(layout);

/** Entries of others, with their buckets. */
const THEIRS = [
  ["states", KEYS.state(VICTIM)],
  ["states", KEYS.roster],
  ["responses", KEYS.response(ADDRESS, VICTIM, "theirs")],
  ["responses", KEYS.sender(ADDRESS)],
  ["commands", KEYS.inbox(VICTIM)],
  ["commands", KEYS.command(VICTIM, "theirs")],
  ["commands", KEYS.command(VICTIM, "new")],
  ["presence", KEYS.agent(VICTIM)],
  ["states", KEYS.clock(VICTIM)],
] as const;

const listening: readonly Attack[] = [
  EVERY,
  "*.>",
  "$KV.>",
  subject("commands", `${VICTIM}.>`),
  subject("commands", "*.*"),
  subject("responses", EVERY),
  subject("states", "*"),
  `_INBOX_${VICTIM}.>`,
  "_INBOX.>",
  layout.wake(VICTIM),
  layout.wake("*"),
  layout.heartbeat("*"),
].map((heard) => ({
  name: `subscribes to ${heard}`,
  run: (attacker) => attacker.subscribe(heard),
  listens: true,
  ...(heard.startsWith("_INBOX") ? { secret: /^H?MSG /m } : {}),
}));

const gets: readonly Attack[] = [
  ...(
    [
      ["states", KEYS.state(VICTIM)],
      ["states", EVERY],
      ["commands", KEYS.inbox(VICTIM)],
      ["commands", KEYS.command(VICTIM, "theirs")],
      ["commands", `${VICTIM}.*`],
      ["commands", "*.*"],
      ["responses", KEYS.response(ADDRESS, VICTIM, "theirs")],
      ["responses", EVERY],
      ["responses", "*.*.*"],
      ["responses", `${ADDRESS}.>`],
      ["presence", KEYS.agent(VICTIM)],
      ["presence", "agent.>"],
    ] as const
  ).map(([bucket, key]) => ({ name: `gets ${bucket}/${key}`, run: requests([getSubject(bucket, key)]) })),
  ...[
    { last_by_subj: subject("commands", `${VICTIM}.theirs`) },
    { multi_last: [subject("commands", EVERY)] },
    { seq: 1, batch: 100 },
    { seq: 1, next_by_subj: subject("commands", `${VICTIM}.>`), batch: 100 },
  ].flatMap((payload): Attack[] => [
    { name: `gets by payload ${JSON.stringify(payload)}`, run: requests([`$JS.API.DIRECT.GET.${COMMANDS}`, payload]) },
    {
      name: `adds to the get of its own key ${JSON.stringify(payload)}`,
      run: requests([getSubject("commands", KEYS.inbox(ATTACKER)), payload]),
      isAlwaysStopped: true,
    },
  ]),
  {
    name: "gets a message of the commands by its sequence",
    run: requests([`$JS.API.STREAM.MSG.GET.${COMMANDS}`, { seq: 4 }]),
    secret: /"message"/,
  },
];

const consumer = { deliver_subject: `${INBOX}.stolen`, deliver_policy: "all", ack_policy: "none" };
const theirCommands = subject("commands", `${VICTIM}.*`);

/** @param end of the subject that asks for it */
function createsConsumer(end: string, config: object): Attack {
  const asked = `$JS.API.CONSUMER.CREATE.${COMMANDS}${end}`;
  return { name: `creates a consumer with ${asked}`, run: requests([asked, { stream_name: COMMANDS, config }]) };
}

const named = { ...consumer, name: "thief" };
const ownCommands = subject("commands", `${ATTACKER}.*`);
const consumers: readonly Attack[] = [
  createsConsumer("", consumer),
  createsConsumer(".thief", named),
  createsConsumer(`.thief.${theirCommands}`, { ...named, filter_subject: theirCommands }),
  createsConsumer(`.thief.${ownCommands}`, { ...named, filter_subject: ownCommands }),
];

const otherReading: readonly Attack[] = [
  {
    name: "creates a durable consumer",
    run: requests([
      `$JS.API.CONSUMER.DURABLE.CREATE.${COMMANDS}.thief`,
      { stream_name: COMMANDS, config: { ...consumer, durable_name: "thief" } },
    ]),
  },
  {
    name: "creates a consumer that writes into another agent's inbox for commands",
    run: requests([
      `$JS.API.CONSUMER.CREATE.${STATES}.thief`,
      {
        stream_name: STATES,
        config: { ...consumer, name: "thief", deliver_subject: subject("commands", `${VICTIM}.new`) },
      },
    ]),
  },
  {
    name: "creates a mirror of the commands",
    run: requests(["$JS.API.STREAM.CREATE.thief", { name: "thief", storage: "memory", mirror: { name: COMMANDS } }]),
  },
  {
    name: "creates a stream with the commands as its source",
    run: requests(["$JS.API.STREAM.CREATE.thief", { name: "thief", storage: "memory", sources: [{ name: COMMANDS }] }]),
  },
  {
    name: "lets the bucket of states publish to itself",
    run: requests([
      `$JS.API.STREAM.UPDATE.${STATES}`,
      {
        name: STATES,
        subjects: [subject("states", EVERY)],
        storage: "memory",
        discard: "new",
        max_msgs_per_subject: 1,
        allow_direct: true,
        allow_msg_ttl: true,
        republish: { src: EVERY, dest: `${INBOX}.>` },
      },
    ]),
  },
  {
    name: "takes a snapshot of the commands",
    run: requests([`$JS.API.STREAM.SNAPSHOT.${COMMANDS}`, { deliver_subject: `${INBOX}.snapshot` }]),
    secret: /"config"/,
  },
];

const every = { subjects_filter: EVERY };
const listing: readonly Attack[] = [
  { name: "lists the commands", run: requests([`$JS.API.STREAM.INFO.${COMMANDS}`, every]), secret: /"subjects"/ },
  { name: "lists the states", run: requests([`$JS.API.STREAM.INFO.${STATES}`, every]), secret: new RegExp(UNKNOWN) },
  { name: "lists names of streams", run: requests(["$JS.API.STREAM.NAMES", {}]), secret: /"streams"/ },
  { name: "lists streams", run: requests(["$JS.API.STREAM.LIST", {}]), secret: /"streams"/ },
  {
    name: "lists names of consumers",
    run: requests([`$JS.API.CONSUMER.NAMES.${COMMANDS}`, {}]),
    secret: /"consumers"/,
  },
  { name: "lists consumers", run: requests([`$JS.API.CONSUMER.LIST.${COMMANDS}`, {}]), secret: /"consumers"/ },
  { name: "asks for the account's numbers", run: requests(["$JS.API.INFO"]), secret: /"streams"/ },
];

const writing: readonly Attack[] = [
  ...THEIRS.map(([bucket, key]) => ({ name: `puts ${bucket}/${key}`, run: publishes(subject(bucket, key)) })),
  { name: "sends a heartbeat of another", run: publishes(layout.heartbeat(VICTIM)) },
  { name: "sends a wake to another", run: publishes(layout.wake(VICTIM)) },
  { name: "writes into another's inbox for answers", run: publishes(`_INBOX_${VICTIM}.forged`) },
];

/** Of requests that an agent may make: the server writes the answer there. */
const answersTo = [...THEIRS.map(([bucket, key]) => subject(bucket, key)), layout.heartbeat(VICTIM)];
const replies: readonly Attack[] = answersTo.flatMap((reply): Attack[] => [
  {
    name: `has the acknowledgement of its own state sent to ${reply}`,
    run: publishes(subject("states", KEYS.state(ATTACKER)), { reply }),
  },
  {
    name: `has its own state sent to ${reply}`,
    run: publishes(getSubject("states", KEYS.state(ATTACKER)), { reply, payload: "" }),
  },
]);

const repliesToTheApi: readonly Attack[] = [
  `$JS.API.STREAM.PURGE.${STATES}`,
  `$JS.API.STREAM.DELETE.${STATES}`,
  getSubject("states", KEYS.state(VICTIM)),
].map((reply) => ({
  name: `has the acknowledgement of its own state sent to ${reply}`,
  run: publishes(subject("states", KEYS.state(ATTACKER)), { reply }),
  isAlwaysStopped: true,
}));

const ownState = subject("states", KEYS.state(ATTACKER));
const headers: readonly Attack[] = [
  ...BUCKETS.map((bucket): Attack => {
    const key = {
      states: ATTACKER,
      commands: ATTACKER,
      responses: `${ADDRESS}.${ATTACKER}.x`,
      presence: KEYS.agent(ATTACKER),
    };
    return {
      name: `rolls up all of ${bucket} with its own entry`,
      run: requests([subject(bucket, key[bucket]), FORGED, { "Nats-Rollup": "all" }]),
    };
  }),
  {
    name: "has its own message traced to another's state",
    run: publishes(ownState, { headers: { "Nats-Trace-Dest": subject("states", VICTIM) } }),
  },
  {
    name: "schedules a message to another's state",
    run: requests([
      ownState,
      FORGED,
      { "Nats-Schedule": "@at 2020-01-01T00:00:00Z", "Nats-Schedule-Target": subject("states", VICTIM) },
    ]),
    isAlwaysStopped: true,
  },
  {
    name: "writes a batch",
    run: requests([ownState, FORGED, { "Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1", "Nats-Batch-Commit": "1" }]),
    isAlwaysStopped: true,
  },
];

const deleting: readonly Attack[] = [
  ...THEIRS.filter(([, key]) => key !== KEYS.command(VICTIM, "new")).map(
    ([bucket, key]): Attack => ({
      name: `removes ${bucket}/${key} with a marker`,
      run: publishes(subject(bucket, key), { payload: "", headers: { "KV-Operation": "PURGE", "Nats-TTL": "1s" } }),
    }),
  ),
  ...BUCKETS.map((bucket) => layout.stream(bucket)).flatMap((stream): Attack[] => [
    { name: `purges ${stream}`, run: requests([`$JS.API.STREAM.PURGE.${stream}`, {}]) },
    { name: `deletes ${stream}`, run: requests([`$JS.API.STREAM.DELETE.${stream}`]) },
  ]),
  {
    name: "purges another's commands",
    run: requests([`$JS.API.STREAM.PURGE.${COMMANDS}`, { filter: theirCommands }]),
  },
  { name: "deletes a message by its sequence", run: requests([`$JS.API.STREAM.MSG.DELETE.${COMMANDS}`, { seq: 4 }]) },
];

export const ATTACKS: readonly Attack[] = [
  ...listening,
  ...gets,
  ...consumers,
  ...otherReading,
  ...listing,
  ...writing,
  ...replies,
  ...repliesToTheApi,
  ...headers,
  ...deleting,
];

/** What it received that it must not: empty when nothing. */
export function learned({ secret = new RegExp(SECRET) }: Attack, { received }: RawClient): readonly string[] {
  const found = secret.exec(received);
  return found === null ? [] : [`received ${found[0]}`];
}
