// Twenty agents: a pull on all of them while two disks are full and one agent is offline, and 200 event listeners.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Registry } from "#sim/registry/registry.ts";
import { Job } from "#src/protocol.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";
import { EventListener } from "#tests/support/event_listener.ts";

const LAYERS = [500_000, 1_000];
const NAMES = Array.from({ length: 20 }, (_, index) => `gpu-${index + 1}`);
/** A reserve larger than the disk. */
const WITHOUT_ROOM = ["gpu-7", "gpu-8"];
const AWAY = "gpu-20";
const LISTENERS = 200;

let site: ProcessSite;
let registry: Registry;
let server: HttpServer;

beforeAll(async () => {
  site = new ProcessSite();
  registry = await Registry.start();
  const away = await site.agent(AWAY, "http://127.0.0.1:9");
  await away.stop();
  const present = NAMES.filter((name) => name !== AWAY);
  await site.fleet(await Promise.all(present.map(box)));
  const reachable = (name: string): boolean => site.state(name)["ollama_available"] === true;
  await until(() => present.every(reachable), "all agents have Ollama");
  server = await site.server();
}, 60_000);

afterAll(async () => {
  await site.close();
  await registry.stop();
});

/** With its own Ollama, and its own folder of models. */
async function box(name: string) {
  const modelsDir = join(site.dir, `models-${name}`);
  const { url } = await site.ollama({ modelsDir, catalog: [], progressIntervalMs: 50 });
  const reserve = WITHOUT_ROOM.includes(name) ? ["--disk-reserve", "900TB"] : [];
  const args = ["--ollama-models", modelsDir, "--preflight", "on", "--insecure-registry", registry.host, ...reserve];
  return { name, ollamaUrl: url, args };
}

/** How each agent's job must have ended. */
function expected(name: string): Pick<Job, "state" | "code"> {
  if (name === AWAY) return { state: "failed", code: "unavailable" };
  return WITHOUT_ROOM.includes(name) ? { state: "failed", code: "exhausted" } : { state: "succeeded", code: null };
}

function byAgent(jobs: readonly Job[]): Map<string, Pick<Job, "state" | "code">> {
  return new Map(jobs.map(({ agent, state, code }) => [agent, { state, code }]));
}

const ALL_ENDS = new Map(NAMES.map((name) => [name, expected(name)]));

describe("gpuctl pull --all", () => {
  test("succeeds on 17 of 20, as the table and the exit status show", async () => {
    const model = registry.offer("first", { layers: LAYERS });
    const { status, stdout, stderr } = await site.gpuctl("pull", model, "--all");
    expect([status, stderr.includes("3 of 20 agents failed\n")]).toEqual([1, true]);
    const [head, ...rows] = stdout.slice(stdout.indexOf("AGENT")).trimEnd().split("\n");
    expect(head).toMatch(/^AGENT +STATE +RESULT$/);
    const table = rows.map((row) => /^(\S+) +(\S+) +(.*)$/.exec(row)?.slice(1) ?? []);
    expect(new Set(table.map(([agent]) => agent))).toEqual(new Set(NAMES));
    expect(table.filter(([, state]) => state === "succeeded")).toHaveLength(17);
    for (const [agent = "", state, result = ""] of table)
      expect([state, result]).toEqual([
        expected(agent).state,
        expected(agent).code ?? expect.stringMatching(/^501\.\d kB/),
      ]);
    expect(stderr).toMatch(/gpu-7: .*900\.0 TB in reserve.* free/);
    expect(stderr).toContain(`${AWAY}: ${AWAY} stopped`);
  }, 30_000);

  test("as JSON ends with the final job of each agent", async () => {
    const model = registry.offer("second", { layers: LAYERS });
    const { status, stdout } = await site.gpuctl("pull", model, "--all", "--json");
    const jobs = Job.array().parse(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    );
    expect([status, byAgent(jobs)]).toEqual([1, ALL_ENDS]);
  }, 30_000);
});

test("rm --all names the agents that are offline", async () => {
  const model = registry.offer("unwanted", { layers: LAYERS });
  await site.gpuctl("pull", model, "--all");
  const { status, stdout } = await site.gpuctl("rm", model, "--all", "--json");
  const outcomes: { agent: string; code: string | null }[] = JSON.parse(stdout).agents;
  expect(status).toBe(1);
  expect(outcomes.filter(({ code }) => code === null)).toHaveLength(17);
  expect(outcomes.find(({ agent }) => agent === AWAY)?.code).toBe("unavailable");
}, 30_000);

test("200 listeners see every end exactly once, even when they are cut off and the server restarts", async () => {
  const model = registry.offer("third", { layers: LAYERS, bytesPerSecond: 400_000 });
  const listeners = Array.from({ length: LISTENERS }, () => new EventListener());
  const connect = async (events: EventListener): Promise<void> =>
    await events.connect(`${server.url}/v1/events`, server.tokens.gp);
  await Promise.all(listeners.map(connect));
  await until(() => listeners.every(({ events }) => events.length > 0), "all listen");

  const { status, answer } = await server.call("POST", "/v1/jobs", { kind: "pull", model, agents: "all" });
  expect(status).toBe(202);
  const ids = Job.array()
    .parse(answer["jobs"])
    .map(({ id }) => id ?? "");
  expect(ids).toHaveLength(20);
  // What ended just before may be news to the server, and so to the listeners.
  const others = new Set<string>();
  const own = ({ ends }: EventListener): string[] => ends.filter((id) => !others.has(id));
  const earlier = Job.array().parse((await server.call("GET", "/v1/jobs")).answer["jobs"]);
  for (const { id } of earlier) if (id !== null && !ids.includes(id)) others.add(id);
  for (let round = 0; round < 4; round++) {
    const leaving = listeners.filter((_, index) => index % 4 === round);
    await Promise.all(leaving.map(async (events) => await events.cut()));
    if (round === 2) {
      const staying = listeners.filter((events) => !leaving.includes(events));
      const startedMs = performance.now();
      server = await site.restart(server);
      // It ends their streams: waiting for them to leave takes 10 s.
      expect(performance.now() - startedMs).toBeLessThan(8_000);
      await Promise.all(staying.map(async (events) => await events.ended()));
      await Promise.all(staying.map(connect));
    }
    await Promise.all(leaving.map(connect));
  }
  await until(() => listeners.every((events) => own(events).length >= ids.length), "all ends arrived", 20_000);
  // A duplicate would arrive before the next end.
  const last = { kind: "pull", model: registry.offer("last", { layers: LAYERS }), agents: ["gpu-1"] };
  const [lastJob] = Job.array().parse((await server.call("POST", "/v1/jobs", last)).answer["jobs"]);
  await until(() => listeners.every(({ ends }) => ends.at(-1) === lastJob?.id), "the last end arrived");
  for (const listener of listeners) {
    const ends = own(listener);
    expect([ends.length, new Set(ends.slice(0, -1))]).toEqual([ids.length + 1, new Set(ids)]);
    const jobs = listener.events.filter(({ event }) => event === "ended").map(({ data }) => Job.parse(data));
    expect(byAgent(jobs.filter(({ id }) => ids.includes(id ?? "")))).toEqual(ALL_ENDS);
  }
  await Promise.all(listeners.map(async (events) => await events.cut()));
}, 60_000);
