// What a release's programs must show of a fleet, and do to it.
import { expect } from "bun:test";
import { z } from "zod";
import { isEnded } from "#src/protocol.ts";
import { type Fleet, IDLE } from "./fleet.ts";
import type { Programs } from "./release.ts";

const AGENT = { agent: z.string() };
/** The fields that are compared, of each entry that a verb prints. A route has the same entries. */
const ENTRIES = {
  agents: z.object({
    ...AGENT,
    status: z.string(),
    reason: z.unknown(),
    model_count: z.number(),
    job_count: z.number(),
  }),
  ping: z.object(AGENT),
  list: z.object({ name: z.string() }),
  ps: z.object({ ...AGENT, name: z.string() }),
  jobs: z.object({ ...AGENT, id: z.string(), model: z.string(), state: z.string(), code: z.unknown() }),
} as const;
type Verb = keyof typeof ENTRIES;
const FIELDS: Readonly<Record<Verb, string>> = {
  agents: "agents",
  ping: "agents",
  list: "models",
  ps: "running",
  jobs: "jobs",
};
const VERBS = ["agents", "ping", "list", "ps", "jobs"] as const;

/** The entries of a document's list, sorted, with the compared fields only. */
function entriesOf(verb: Verb, document: unknown): string[] {
  const list = z.record(z.string(), z.unknown()).parse(document)[FIELDS[verb]];
  return sorted(z.array<z.ZodType>(ENTRIES[verb]).parse(list));
}

function sorted(entries: readonly unknown[]): string[] {
  return entries.map((entry) => JSON.stringify(entry)).toSorted();
}

/** The same from the documents on the share and from the Ollamas. */
function expectedEntries(fleet: Fleet, verb: Verb): string[] {
  const health = { status: "online", reason: null };
  const all = {
    agents: () =>
      fleet.states.map(({ agent, model_count, jobs }) => {
        return { agent, ...health, model_count, job_count: jobs.filter((job) => !isEnded(job)).length };
      }),
    ping: () => fleet.states.map(({ agent }) => ({ agent })),
    list: () => fleet.models.map((name) => ({ name })),
    ps: () => fleet.states.map(({ agent }) => ({ agent, name: "phi4:latest" })),
    jobs: () => fleet.jobs.map(({ agent, id, model, state, code }) => ({ agent, id, model, state, code })),
  };
  return sorted(all[verb]());
}

/** How often two lists are compared until they are the same. */
const LOOKS = 5;

/** Looks again when the two differ: meanwhile a pull may begin its next attempt. */
async function expectEntries(fleet: Fleet, verb: Verb, read: () => Promise<unknown>): Promise<void> {
  const isSame = async (): Promise<boolean> =>
    Bun.deepEquals(entriesOf(verb, await read()), expectedEntries(fleet, verb));
  for (let look = 1; look < LOOKS; look++) if (await isSame()) return;
  expect(entriesOf(verb, await read())).toEqual(expectedEntries(fleet, verb));
}

/**
 * Each verb of a release's gpuctl, as text and as JSON, shows all of it.
 * @param server the flags for a gpu-server that it asks instead of the share; an earlier one has no route for a ping
 */
export async function expectLists(fleet: Fleet, programs: Programs, server?: readonly string[]): Promise<void> {
  const where = server ?? ["--share", fleet.site.share];
  const run = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await fleet.gpuctlAt(where, programs, ...args);
    expect([args, status, stderr]).toEqual([args, 0, ""]);
    return stdout;
  };
  for (const verb of VERBS.filter((each) => server === undefined || each !== "ping")) {
    await expectEntries(fleet, verb, async () => JSON.parse(await run(verb, "--json")));
    const lines = (await run(verb)).split("\n").map((line) => line.replaceAll(/ +/g, " "));
    const words: Readonly<Record<Verb, readonly string[]>> = {
      agents: fleet.states.map(({ agent }) => `${agent} online`),
      ping: fleet.states.map(({ agent }) => agent),
      list: fleet.models,
      ps: fleet.states.map(({ agent }) => `phi4:latest ${agent}`),
      jobs: fleet.jobs.map(({ id, agent, model }) => `${id} ${agent} ${model}`),
    };
    for (const word of words[verb]) expect(lines).toContainEqual(expect.stringContaining(word));
  }
}

/**
 * A release's gpuctl pulls, copies, deletes and unloads on an agent, and leaves it as it was.
 * @param server as for `expectLists()`
 */
export async function expectChanges(fleet: Fleet, programs: Programs, server?: readonly string[]): Promise<void> {
  const where = server ?? ["--share", fleet.site.share];
  for (const command of ["pull tiny", "show tiny", "cp tiny copied", "rm copied", "rm tiny", "stop phi4"]) {
    const { status, stderr } = await fleet.gpuctlAt(where, programs, ...command.split(" "), "--agent", IDLE);
    expect([command, status, stderr]).toEqual([command, 0, ""]);
  }
  fleet.load();
}

export async function expectRoutes(fleet: Fleet, programs: Programs): Promise<void> {
  const server = await fleet.site.server([], programs.server);
  const ask = async (path: string): Promise<unknown> => {
    const { status, answer } = await server.call("GET", path);
    expect([path, status]).toEqual([path, 200]);
    return answer;
  };
  await expectEntries(fleet, "agents", async () => await ask("/v1/agents"));
  await expectEntries(fleet, "list", async () => await ask("/v1/models"));
  await expectEntries(fleet, "list", async () => await ask("/api/config/models"));
  await expectEntries(fleet, "jobs", async () => await ask("/v1/jobs"));
  await server.process.stop();
}
