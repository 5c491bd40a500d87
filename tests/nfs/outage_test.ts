// The share goes away for 15 s while commands come, its server stopped or the network cut: nothing is lost, nothing is done
// twice, and every process stays of use.
import { describe, expect, test } from "bun:test";
import type { HttpServer, Running } from "../process/site.ts";
import { until } from "../process/site.ts";
import type { SimulatedOllama } from "../sim/ollama.ts";
import { tell } from "./guest/figures.ts";
import { type Client, run } from "./guest/machines.ts";
import { VERSIONS, type Version } from "./guest/scope.ts";
import { NfsSite } from "./guest/site.ts";

const OUTAGE_MS = 15_000;
/** The first quarter of the commands goes before the outage, the last after it. */
const COMMANDS = 100;
const APART_MS = 300;
const FIRST_MS = 7_000;
const TIMEOUT_S = 60;
const SIGTERM_WITHIN_MS = 10_000;
const CLIENTS: readonly Client[] = ["c1", "c2", "c3"];

interface Outage {
  readonly name: string;
  readonly begin: () => Promise<unknown>;
  readonly end: () => Promise<unknown>;
}

const OUTAGES: readonly Outage[] = [
  {
    name: "the server of the share is stopped",
    begin: async () => await run("server", "rpc.nfsd", "0"),
    end: async () => await run("server", "rpc.nfsd", "8"),
  },
  {
    name: "the network swallows everything",
    begin: async () => await eachWay("add", "root", "netem", "loss", "100%"),
    end: async () => await eachWay("del", "root"),
  },
];

async function eachWay(what: "add" | "del", ...how: readonly string[]): Promise<void> {
  for (const client of CLIENTS) {
    await run("server", "/sbin/tc", "qdisc", what, "dev", `nfs${client.slice(1)}`, ...how);
    await run(client, "/sbin/tc", "qdisc", what, "dev", "nfs", ...how);
  }
}

/** One request as a careful caller makes it: told `unavailable`, it asks again until its time is over. */
interface Request {
  readonly verb: "list" | "pull" | "delete";
  readonly model: string;
}

interface Ended {
  readonly request: Request;
  readonly status: number;
  readonly tries: number;
  readonly tookMs: number;
}

const spec = (name: string) => ({ name: `${name}:latest`, layers: [200_000] });
const requests = Array.from({ length: COMMANDS }, (_, index): Request => {
  const verb = (["list", "pull", "delete"] as const)[index % 3] ?? "list";
  return { verb, model: `${verb}-${index}` };
});
const modelsOf = (verb: Request["verb"]): string[] =>
  requests.filter((request) => request.verb === verb).map(({ model }) => model);

interface Setting {
  readonly version: Version;
  readonly site: NfsSite;
  readonly ollama: SimulatedOllama;
  readonly agent: Running;
  /** On the same machine; told to end during the outage. */
  readonly leaving: Running;
  readonly server: HttpServer;
}

async function prepare(version: Version): Promise<Setting> {
  const site = await NfsSite.open("outage", version);
  const installed = modelsOf("delete").map(spec);
  const ollama = await site.ollama({ catalogue: modelsOf("pull").map(spec), installed });
  const [agent, leaving, server] = await Promise.all([
    site.agent("c1", "gpu-1", ollama),
    site.agent("c1", "gpu-2", await site.ollama()),
    site.server("c2", ["--timeout", String(TIMEOUT_S)]),
  ]);
  await until(() => site.state("gpu-1")["models"] !== null, "the agent knows its models");
  expect((await server.call("GET", "/v1/agents")).status).toBe(200);
  return { version, site, ollama, agent, leaving, server };
}

async function send({ server }: Setting, { verb, model }: Request): Promise<{ status: number; again: boolean }> {
  if (verb === "list") {
    const { status } = await server.call("GET", "/api/config/models?fresh=true&agent=gpu-1");
    return { status, again: status === 503 };
  }
  const { status } =
    verb === "pull"
      ? await server.call("POST", "/api/config/pull-model?agent=gpu-1", { model_name: model })
      : await server.call("DELETE", "/api/config/delete-model?agent=gpu-1", { model_name: model });
  return { status, again: status === 503 };
}

async function ask(setting: Setting, request: Request): Promise<Ended> {
  const startedMs = performance.now();
  for (let tries = 1; ; tries++) {
    const { status, again } = await send(setting, request);
    const tookMs = performance.now() - startedMs;
    if (!again || tookMs > TIMEOUT_S * 1000) return { request, status, tries, tookMs };
    await Bun.sleep(1_000);
  }
}

/** What gpu-server says while the share is away, and how long it takes to say it. */
async function lookMeanwhile({ server, version }: Setting): Promise<void> {
  await Bun.sleep(FIRST_MS + 5_000);
  const startedMs = performance.now();
  const platform = await server.call("GET", "/api/config/models");
  const tookMs = Math.round(performance.now() - startedMs);
  const fleet = await server.call("GET", "/v1/agents");
  const { status } = await server.call("GET", "/healthz");
  tell(
    `NFSv${version}, meanwhile: ${platform.status} after ${tookMs} ms, ${JSON.stringify(platform.answer["detail"])}`,
  );
  expect([platform.status, fleet.status, status]).toEqual([503, 200, 200]);
  expect(tookMs).toBeLessThan(5_000);
  const agents = [{ agent: "gpu-1", status: "offline", reason: "share_stale", last_seen_at: expect.any(String) }, {}];
  expect(fleet.answer).toMatchObject({ agents });
}

async function leaveMeanwhile({ leaving, version }: Setting): Promise<void> {
  await Bun.sleep(FIRST_MS + 4_000);
  const startedMs = performance.now();
  const status = await leaving.stop();
  const tookMs = performance.now() - startedMs;
  tell(`NFSv${version}, SIGTERM meanwhile: ended with ${status} after ${Math.round(tookMs)} ms`);
  expect(tookMs).toBeLessThan(SIGTERM_WITHIN_MS);
}

async function command(setting: Setting): Promise<Ended[]> {
  const under = requests.map(async (request, index) => {
    await Bun.sleep(index * APART_MS);
    return await ask(setting, request);
  });
  return await Promise.all(under);
}

/** The ids of changing commands that the agent says it has run, an id as often as it was run. */
function runIds(agent: Running): string[] {
  const lines = agent.log
    .split("\n")
    .filter((line) => line.includes('"Command done"') || line.includes('"Command failed"'));
  return lines.map((line) => JSON.parse(line)).flatMap(({ id, command: verb }) => (verb === "list_models" ? [] : [id]));
}

async function judge({ version, site, ollama, agent }: Setting, ended: readonly Ended[]): Promise<void> {
  const first = ended.filter(({ tries, status }) => tries === 1 && status === 200).length;
  const slowest = Math.round(Math.max(...ended.map(({ tookMs }) => tookMs)));
  const counted = Object.entries(Object.groupBy(ended, ({ status }) => String(status)));
  const statuses = counted.map(([status, list]) => `${list?.length} with ${status}`).join(", ");
  tell(`NFSv${version}, ${ended.length} commands: ${statuses}; ${first} at the first try; slowest ${slowest} ms`);
  const ids = runIds(agent);
  const { requests: calls } = ollama.counters;
  tell(
    `  run: ${ids.length} changing commands; Ollama saw ${calls["DELETE /api/delete"]} deletes, ${calls["POST /api/pull"]} pulls`,
  );
  const stalled = agent.log.split("\n").filter((line) => line.includes("stalled")).length;
  tell(`  the agent's log has ${stalled} lines about the share`);
  // A delete that is asked for again may find that it was done: that is an answer too.
  const lost = ended.filter(({ request, status }) => status !== 200 && !(request.verb === "delete" && status === 404));
  expect(lost).toEqual([]);
  expect(ids.toSorted()).toEqual([...new Set(ids)].toSorted());
  const names = modelsOf("pull").map((name) => `${name}:latest`);
  await until(() => ollama.installed().length === names.length, "all pulls are done", 60_000);
  expect(ollama.installed().toSorted()).toEqual(names.toSorted());
  await until(() => site.list("gpu_commands/gpu-1").length === 0, "no command is left", 30_000);
}

describe.each(OUTAGES)("while $name for 15 s", ({ begin, end }) => {
  test(`${COMMANDS} commands are answered, each once`, async () => {
    const settings = await Promise.all(VERSIONS.map(prepare));
    const under = settings.map(async (setting) => {
      const [ended] = await Promise.all([command(setting), lookMeanwhile(setting), leaveMeanwhile(setting)]);
      return ended;
    });
    await Bun.sleep(FIRST_MS);
    await begin();
    await Bun.sleep(OUTAGE_MS);
    await end();
    const ended = await Promise.all(under);
    for (const [index, setting] of settings.entries()) await judge(setting, ended[index] ?? []);
    await Promise.all(settings.map(async ({ site }) => await site.close()));
  }, 240_000);
});
