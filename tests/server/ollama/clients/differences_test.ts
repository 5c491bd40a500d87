// The same requests to an Ollama itself and to it behind server and agent: all differences are in the table, and no others.
//
// The Ollama is a simulated one; OLLAMA_TEST_URL names a real one, which loses its models.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type SimulatedOllama, startSimulatedOllama } from "#sim/ollama/ollama.ts";
import { Registry } from "#sim/registry/registry.ts";
import { until } from "#tests/process/site/site.ts";
import { type Answer, ask } from "./site/answer.ts";
import { ClientSite } from "./site/client_site.ts";
import { DIFFERENCES } from "./site/differences.ts";
import { SAMPLE } from "./site/models.ts";
import { type NamedRequest, requestsTo } from "./site/requests.ts";
import { createSample, removeModels } from "./site/sample_model.ts";

let dir: string;
let registry: Registry;
let simulation: SimulatedOllama | undefined;
let ollamaUrl: string;
let site: ClientSite;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "gpu-courier-clients-"));
  registry = await Registry.start();
  registry.offer("small", { layers: [3_000_000, 400], bytesPerSecond: 1_500_000 });
  const given = process.env["OLLAMA_TEST_URL"];
  if (given === undefined) simulation = await startSimulatedOllama({ modelsDir: dir });
  ollamaUrl = given ?? simulation?.url ?? "";
  await prepare();
  site = await ClientSite.open(ollamaUrl, ["--insecure-registry", registry.host, "--preflight", "on"]);
}, 60_000);
afterAll(async () => {
  await site.close();
  await simulation?.stop();
  await registry.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Leaves `sample` alone on the Ollama. */
async function prepare(): Promise<void> {
  await removeModels(ollamaUrl);
  if (simulation === undefined) await createSample(ollamaUrl, SAMPLE.name);
  else simulation.install(SAMPLE);
}

async function askAll(
  requests: readonly NamedRequest[],
  baseUrl: string,
  headers: Readonly<Record<string, string>>,
): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>();
  for (const request of requests) answers.set(request.name, await ask(baseUrl, request, headers));
  return answers;
}

test("a box behind the server answers as its Ollama, but for the differences in the table", async () => {
  const requests = requestsTo(registry.host);
  expect(new Set(requests.map(({ name }) => name)).size).toBe(requests.length);
  const direct = await askAll(requests, ollamaUrl, {});
  await prepare();
  await until(async () => {
    const { answer } = await site.server.call("GET", "/agents/gpu-1/api/tags");
    const models = Array.isArray(answer["models"]) ? answer["models"] : [];
    return models.length === 1 && Object(models[0]).name === SAMPLE.name;
  }, "the box shows the models as they were at first");
  const facade = await askAll(requests, site.address(), site.bearer());

  const differing = requests
    .map(({ name }) => name)
    .filter((name) => !Bun.deepEquals(direct.get(name), facade.get(name)));
  process.stderr.write(`${requests.length} requests compared, ${differing.length} differences\n`);
  const explained = new Map(DIFFERENCES.flatMap(({ answers }) => Object.entries(answers)));
  const unexplained = differing
    .filter((name) => !explained.has(name))
    .map((name) => ({ name, ollama: direct.get(name), box: facade.get(name) }));
  const stale = [...explained.keys()].filter((name) => !differing.includes(name));
  expect({ unexplained, stale }).toEqual({ unexplained: [], stale: [] });
  for (const [name, answer] of explained) expect({ name, ...facade.get(name) }).toMatchObject({ name, ...answer });
}, 120_000);
