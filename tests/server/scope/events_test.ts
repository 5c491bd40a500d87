// Event streams of a token for gpu-1, in two fleets that it must not be able to tell apart.
import { expect, test } from "bun:test";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { active, ended, HIDDEN, OWN } from "./subjects.ts";
import { openWorld, type World } from "./worlds.ts";

/** Reads a stream as it goes on. */
class Stream {
  text = "";
  readonly close: () => Promise<void>;

  constructor(response: Response) {
    const reader = response.body?.getReader() ?? expect.unreachable();
    const decoder = new TextDecoder();
    const read = async (): Promise<void> => {
      for (let next = await reader.read(); !next.done; next = await reader.read())
        this.text += decoder.decode(next.value);
    };
    const reading = read();
    this.close = async () => {
      await reader.cancel();
      await reading;
    };
  }

  get lastId(): string {
    return /^id: (\S+)$/gm.exec(this.text.slice(this.text.lastIndexOf("id: ")))?.[1] ?? "";
  }

  /** Without the log's random id and its numbers, which count the ends of all agents. */
  get comparable(): string {
    return this.text.replaceAll(/^id: \S+$/gm, "id: PLACE");
  }
}

async function listen({ server, scoped }: World, path: string, after?: string): Promise<Stream> {
  const headers = after === undefined ? {} : { "last-event-id": after };
  const stream = new Stream(await server.request("GET", path, { token: scoped, headers }));
  await settle();
  return stream;
}

/** Everything that can be news, of both agents. */
async function live({ clock, own, hidden }: World): Promise<void> {
  for (const agent of [hidden, own]) {
    if (agent === undefined) continue;
    const digit = agent.name === OWN.agent ? 1 : 2;
    agent.jobs = [{ ...active(agent.name, digit), completed_bytes: 10 }];
    await agent.publish();
    await clock.advance(500);
    agent.jobs = [ended(agent.name, digit)];
    await agent.publish();
    await clock.advance(500);
    await agent.publish({ status: "stopped" });
  }
  await clock.advance(12_000);
}

test("a stream has the snapshot and the news of gpu-1 only, also after a reconnect", async () => {
  const texts: string[][] = [];
  for (const kind of ["with gpu-2", "without gpu-2"] as const) {
    await using world = await openWorld(kind);
    await world.hidden?.publish({ status: "draining" });
    await world.clock.advance(500);
    const stream = await listen(world, "/v1/events");
    const start = stream.lastId;
    // Some comments come earlier where nothing else does.
    if (world.hidden === undefined) await world.clock.advance(1_000);
    await live(world);
    const resumed = await listen(world, "/v1/events", start);
    texts.push([stream, resumed].map(({ comparable }) => comparable.replaceAll(/^: .*\n\n/gm, "")));
    await Promise.all([stream.close(), resumed.close()]);
  }
  expect(texts[0]).toEqual(texts[1] ?? []);
  for (const text of texts.flat()) {
    expect(text).toContain('event: ended\ndata: {"id":"019');
    expect(text).not.toMatch(/gpu-2|hidden/);
  }
});

test("a job's stream has its end, and no news of a hidden job with the same id", async () => {
  await using world = await openWorld("with gpu-2");
  const stream = await listen(world, `/v1/jobs/${OWN.jobs[0]}/events`);
  if (world.hidden !== undefined) world.hidden.jobs = [ended(HIDDEN.agent, 1)];
  await world.hidden?.publish();
  await world.clock.advance(500);
  await stream.close();
  expect(stream.text).toContain("event: progress");
  expect(stream.text).not.toMatch(/gpu-2|hidden/);
});
