// The entries left on NATS at the end, each with the reason that docs/nats.md allows it.
import { silentLog } from "#src/base/log.ts";
import { Connection } from "#src/transport/nats/calls/connection.ts";
import { Streams } from "#src/transport/nats/calls/streams.ts";
import { BUCKETS, Layout } from "#src/transport/nats/layout.ts";
import { parseNatsAddress } from "#src/transport/nats/options.ts";
import type { Leftover } from "./leftovers.ts";

interface Rule extends Omit<Leftover, "count"> {
  readonly key: RegExp;
}

/** Each as `<bucket> <key>`. */
function rules(agent: string): readonly Rule[] {
  return [
    { what: "the agent's state", key: new RegExp(`^states ${agent}$`), least: 1, most: 1, reason: "it stays" },
    { what: "the list of its inbox", key: new RegExp(`^commands ${agent}$`), least: 1, most: 1, reason: "it stays" },
    {
      what: "its presence",
      key: new RegExp(`^presence agent\\.${agent}$`),
      least: 0,
      most: 1,
      reason: "it expires; its document shows the same",
    },
    { what: "samples of the clock", key: /^\w+ clock\.\S+$/, least: 0, most: 10, reason: "they expire in a minute" },
  ];
}

export async function findNatsLeftovers(url: string, agent: string): Promise<readonly Leftover[]> {
  const deps = { address: parseNatsAddress(url), options: {}, identity: undefined, log: silentLog };
  const connection = new Connection(deps);
  await connection.open();
  try {
    const streams = new Streams(connection, new Layout());
    const lying: string[] = [];
    for (const bucket of BUCKETS) for (const { key } of await streams.read(bucket, ">")) lying.push(`${bucket} ${key}`);
    const all = rules(agent);
    const ruled = all.map(({ key, ...rule }) => ({ ...rule, count: lying.filter((each) => key.test(each)).length }));
    const stray = lying.filter((each) => !all.some(({ key }) => key.test(each)));
    return [...ruled, ...stray.map((what) => ({ what, count: 1, least: 0, most: 0, reason: null }))];
  } finally {
    await connection.close();
  }
}
