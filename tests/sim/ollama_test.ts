// Holds the simulated Ollama to what real ones (v0.32.15, v0.24.0) were recorded to answer.
import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { z } from "zod";
import { DEFAULT_CATALOGUE } from "#sim/ollama/catalog.ts";
import { type ModelSpec, makeManifest } from "#sim/ollama/manifest.ts";
import { parseName, showName } from "#sim/ollama/name.ts";
import { type SimulatedOllama, type SimulationOptions, startSimulatedOllama } from "#sim/ollama/ollama.ts";
import { readCatalog } from "#src/server/platform/catalog.ts";
import { until } from "#tests/support/until.ts";

const Answer = z.object({
  status: z.number(),
  headers: z.record(z.string(), z.string()),
  lines: z.array(z.string()),
});
type Answer = z.infer<typeof Answer>;

const Exchange = z.object({
  name: z.string(),
  request: z.object({ method: z.string(), path: z.string(), body: z.unknown() }),
  response: Answer,
});
type Exchange = z.infer<typeof Exchange>;

const Line = z.record(z.string(), z.unknown());
const Tags = z.object({ models: z.array(z.looseObject({ name: z.string() })) });

const REGISTRY = "127.0.0.1:5000";
const TINY: ModelSpec = {
  name: `${REGISTRY}/library/tiny:latest`,
  layers: [
    { digest: "sha256:f85d13e44ef4eaec186c41e42dfdf82842a2aa7dde7fb1d0310a7a75f80e0b4d", size: 1_000_000 },
    { digest: "sha256:4bed6ca4430685bab3de843be55ceeb2448f72899b6decf06eff5b841d07be6a", size: 1_000_000 },
    { digest: "sha256:3c45cf10f2e7bd73d54996abc322609a8abdf35614fa4c5ff59486bb992ada32", size: 1_000_000 },
  ],
  config: { digest: "sha256:89e97b7752e93b9e85214f3ec250842de8ba573ebe73126f420e26c07017bce7", size: 434 },
  digest: "552a892c411afcff41fb5ae218667b99961fc675cf8e4d2b5397e217b811e2ab",
  details: { family: "gemma3", families: ["gemma3"] },
  gguf: false,
};
const GEMMA: ModelSpec = {
  name: `${REGISTRY}/library/gemma:270m`,
  layers: [{ digest: "sha256:a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818", size: 253_113_024 }],
  config: { digest: "sha256:bded641280dc6847d1faf0234bb323185dc05a666355a43bcf494018205a20d7", size: 284 },
  digest: "12e34afb390fbe5ae4b098dc8bf336208c20c0dad7b9953b7532a35f4d137b64",
  details: { family: "gemma3", families: ["gemma3"], context_length: 32_768, embedding_length: 640 },
  capabilities: ["completion"],
};

let running: SimulatedOllama | undefined;

async function start(options: SimulationOptions): Promise<SimulatedOllama> {
  running = await startSimulatedOllama({ plainHttpRegistries: [REGISTRY], catalog: [TINY, GEMMA], ...options });
  return running;
}

afterEach(async () => {
  await running?.stop();
  running = undefined;
});

function readExchanges(file: string): Exchange[] {
  const lines = readFileSync(new URL(`../fixtures/ollama/${file}`, import.meta.url), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => Exchange.parse(JSON.parse(line)));
}

async function replay({ request }: Exchange, url: string): Promise<Answer> {
  const { method, path, body } = request;
  const sent = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(url + path, { method, redirect: "manual", ...(body === null ? {} : { body: sent }) });
  const lines = (await response.text()).split("\n");
  if (lines.at(-1) === "") lines.pop();
  return { status: response.status, headers: Object.fromEntries(response.headers), lines };
}

/** The part that must be equal: no times, no sizes in memory, models in any order, one progress line of a kind, headers as noted. */
function comparable({ status, headers, lines }: Answer, recorded: Answer): object {
  const fixed = lines.map((line) =>
    line
      .replaceAll(/"\d{4}-\d\d-\d\dT[^"]*"/g, '"TIME"')
      .replaceAll(/"size":\d+,("digest".*"size_vram":)\d+/g, '"size":0,$10'),
  );
  // Times have more or fewer digits.
  const timeless = fixed.every((line, index) => line === lines[index]);
  const noted = Object.keys(recorded.headers).filter((name) => timeless || name !== "content-length");
  return {
    status,
    headers: noted.map((name) => `${name}: ${headers[name]}`),
    lines: collapse(fixed.map(sortModels)),
  };
}

/** How many progress lines come depends on the speed, and so does whether a blob of a few bytes gets one. */
function collapse(lines: readonly string[]): string[] {
  const kinds = lines
    .filter((line) => !line.startsWith("... "))
    .map((line) => (line.includes('"total":253113024') ? line.replace(/"completed":\d+/, '"completed":0') : line))
    .filter((line) => !line.includes('"total":284'));
  return kinds.filter((line, index) => line !== kinds[index - 1]);
}

function sortModels(line: string): string {
  if (!line.startsWith('{"models":[')) return line;
  const { models } = Tags.parse(JSON.parse(line));
  return JSON.stringify({ models: models.toSorted((a, b) => a.name.localeCompare(b.name)) });
}

async function readLines(response: Response): Promise<Record<string, unknown>[]> {
  const text = await response.text();
  return text
    .trim()
    .split("\n")
    .map((line) => Line.parse(JSON.parse(line)));
}

async function post(url: string, body: object, signal?: AbortSignal): Promise<Response> {
  return await fetch(`${url}/api/pull`, { method: "POST", body: JSON.stringify(body), ...(signal ? { signal } : {}) });
}

describe("startSimulatedOllama()", () => {
  // Blobs of 1 MB are whole before their first progress line, the one of 253 MB is not: as it was when recorded.
  const bytesPerSecond = 1_000_000_000;
  const recordings: [file: string, options: SimulationOptions][] = [
    ["transcript-0.32.15.jsonl", { bytesPerSecond }],
    ["more-0.32.15.jsonl", { bytesPerSecond, catalog: [] }],
    ["openai-0.32.15.jsonl", {}],
    [
      "transcript-0.24.0.jsonl",
      { bytesPerSecond, catalog: [{ ...GEMMA, details: { family: "gemma3", families: ["gemma3"] } }] },
    ],
  ];

  test.each(recordings)("answers as recorded when %s is replayed", async (file, options) => {
    const { url } = await start(options);
    for (const exchange of readExchanges(file)) {
      const answer = await replay(exchange, url);
      const { name, response } = exchange;
      expect({ name, ...comparable(answer, response) }).toEqual({ name, ...comparable(response, response) });
    }
  });

  test("shows a model to OpenAI's clients under the name that they ask for", async () => {
    const { url } = await start({ installed: [{ name: "m", layers: [10] }] });
    const models = async (path: string): Promise<unknown> => await (await fetch(`${url}/v1/models${path}`)).json();
    const model = { object: "model", created: expect.any(Number), owned_by: "library" };
    expect(await models("")).toEqual({ object: "list", data: [{ id: "m:latest", ...model }] });
    expect(await models("/M")).toEqual({ id: "M", ...model });
  });

  test("fetches one blob once when two pulls want it", async () => {
    const shared = { digest: `sha256:${"5".repeat(64)}`, size: 4_000_000 };
    const models = ["a", "b"].map((name): ModelSpec => ({ name, layers: [shared], config: { ...shared } }));
    const simulation = await start({ catalog: models, bytesPerSecond: 20_000_000 });
    const answers = await Promise.all(["a", "b"].map(async (model) => await post(simulation.url, { model })));
    for (const answer of answers) expect((await readLines(answer)).at(-1)).toEqual({ status: "success" });
    expect(simulation.downloads.fetchedBytes).toBe(shared.size);
  });

  test("lists where a model runs that is on another machine, as Ollama does", async () => {
    const remote = { model: "gpt-oss:120b", host: "https://ollama.com:443" };
    const cloud = {
      name: "gpt-oss:120b-cloud",
      layers: [],
      config: { digest: `sha256:${"6".repeat(64)}`, size: 382 },
      remote,
    };
    const { url } = await start({ installed: [cloud] });
    const { models } = z
      .object({ models: z.array(z.looseObject({})) })
      .parse(await (await fetch(`${url}/api/tags`)).json());
    expect(models).toMatchObject([{ size: 382, remote_model: "gpt-oss:120b", remote_host: "https://ollama.com:443" }]);
  });

  // Each was asked of the real one.
  test.each([
    ['"-1"', 400, 'time: missing unit in duration "-1"'],
    ['"x"', 400, 'time: invalid duration "x"'],
    ['""', 400, 'time: invalid duration ""'],
    ['"1d"', 400, 'time: unknown unit "d" in duration "1d"'],
    ['"1h30m"', 404, "model 'none' not found"],
    ["-1", 404, "model 'none' not found"],
  ])("reads a keep_alive of %s as Ollama does", async (keepAlive, status, error) => {
    const { url } = await start({});
    const body = `{"model":"none","keep_alive":${keepAlive}}`;
    const answer = await fetch(`${url}/api/generate`, { method: "POST", body });
    expect([answer.status, await answer.json()]).toEqual([status, { error }]);
  });

  test("goes on for the second pull when the first one leaves", async () => {
    const simulation = await start({ catalog: [{ name: "m", layers: [4_000_000] }], bytesPerSecond: 20_000_000 });
    const leaving = new AbortController();
    await post(simulation.url, { model: "m" }, leaving.signal);
    const second = await post(simulation.url, { model: "m" });
    leaving.abort();
    await until(() => simulation.counters.openPulls === 1);
    expect((await readLines(second)).at(-1)).toEqual({ status: "success" });
  });

  test("stops the download and keeps its bytes when the only client leaves", async () => {
    const simulation = await start({ catalog: [{ name: "m", layers: [4_000_000] }], bytesPerSecond: 20_000_000 });
    const leaving = new AbortController();
    await post(simulation.url, { model: "m" }, leaving.signal);
    await until(() => simulation.downloads.fetchedBytes > 500_000);
    leaving.abort();
    await until(() => simulation.counters.openPulls === 0);
    const kept = simulation.partialBytes("m");
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(4_000_000);
    expect((await readLines(await post(simulation.url, { model: "m" }))).at(-1)).toEqual({ status: "success" });
    expect(simulation.downloads.fetchedBytes).toBe(4_000_000 + 486);
  });

  test("removes what only the old manifest used when a name is pulled again", async () => {
    const simulation = await start({ catalog: [{ name: "m", layers: [10] }], bytesPerSecond: Infinity });
    await post(simulation.url, { model: "m", stream: false });
    simulation.offer({ name: "m", layers: [20] });
    const said = await readLines(await post(simulation.url, { model: "M" }));
    expect(said.slice(-2)).toEqual([{ status: "removing unused layers" }, { status: "success" }]);
    expect(simulation.installed()).toEqual(["m:latest"]);
  });

  test("refuses connections until accept() when refuse() was called", async () => {
    const simulation = await start({});
    await simulation.refuse();
    const refused = await fetch(simulation.url).then(
      () => false,
      () => true,
    );
    expect(refused).toBe(true);
    simulation.accept();
    expect(await (await fetch(simulation.url)).text()).toBe("Ollama is running");
  });
});

describe("sim/ollama/main.ts", () => {
  test("prints its address, serves and ends when it gets SIGTERM", async () => {
    const main = new URL("../../sim/ollama/main.ts", import.meta.url).pathname;
    const process = Bun.spawn([globalThis.process.execPath, main, "--model", "m=1000,20", "--installed", "m"]);
    try {
      const { value } = await process.stdout.getReader().read();
      const { url } = z.object({ url: z.string() }).parse(JSON.parse(new TextDecoder().decode(value)));
      const tags = Tags.parse(await (await fetch(`${url}/api/tags`)).json());
      expect(tags.models.map(({ name }) => name)).toEqual(["m:latest"]);
    } finally {
      process.kill("SIGTERM");
    }
    expect(await process.exited).toBe(0);
  });
});

describe("DEFAULT_CATALOGUE", () => {
  test.each(readCatalog(undefined).models)("has $name of gpu-server's catalog in its size", ({ name, size }) => {
    const spec = DEFAULT_CATALOGUE.find((each) => each.name === name);
    const bytes = spec === undefined ? 0 : makeManifest(spec).size;
    const [, number = "", unit = ""] = /^([\d.]+) ([MG])B$/.exec(size) ?? [];
    const rounded = Number(number) * (unit === "G" ? 1e9 : 1e6);
    expect(Math.abs(bytes - rounded) / rounded).toBeLessThan(0.03);
  });
});

describe("parseName()", () => {
  // Each was run through the real parser.
  const valid = [
    ["llama3.2", "llama3.2:latest"],
    ["LLaMA3:8B", "LLaMA3:8B"],
    ["library/tiny", "tiny:latest"],
    ["me_1/my-model.v2:q4_K_M", "me_1/my-model.v2:q4_K_M"],
    ["registry.ollama.ai/library/tiny:latest", "tiny:latest"],
    ["http://127.0.0.1:5000/library/tiny:latest", "127.0.0.1:5000/library/tiny:latest"],
    ["localhost/a/b:c", "localhost/a/b:c"],
    ["_why/_the/_lucky:_stiff", "_why/_the/_lucky:_stiff"],
    ["n-s/m..x:t..u", "n-s/m..x:t..u"],
    ["host:https/n/m:t", "host:https/n/m:t"],
    ["m-", "m-:latest"],
    ["a".repeat(80), `${"a".repeat(80)}:latest`],
  ] as const;
  const invalid =
    "|/|m:|:t|/m|n/|a//b|n.s/m|127.0.0.1:5000/tiny|-m|m:-t|.m|a b|m@sha256:0|a/b/c/d|modèle|m:t:u|../m|[::1]:5000/n/m|" +
    `${"a".repeat(81)}|m\\x|m+x|h/n/m/|na:me/m|http://h/m|h/n/..`;

  test.each(valid)("reads %p when it is %p", (text, shown) => {
    const name = parseName(text);
    expect(name === null ? null : showName(name)).toBe(shown);
  });

  test.each(invalid.split("|"))("returns null when the text is %p", (text) => {
    expect(parseName(text)).toBeNull();
  });
});
