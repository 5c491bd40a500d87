// Open WebUI with two boxes, one of which is away: the calls of its routers/ollama.py, and what it makes of their answers.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { z } from "zod";
import { AWAY_BOX, BOX, ClientSite } from "./site/client_site.ts";
import { SAMPLE, SMALL } from "./site/models.ts";

/** For lists and versions; then the connection counts as broken. */
const LIST_TIMEOUT_MS = 10_000;

const Models = z.looseObject({
  models: z.array(z.looseObject({ name: z.string(), model: z.string(), expires_at: z.string().optional() })).optional(),
});
const Version = z.looseObject({ version: z.string() });

let site: ClientSite;
beforeAll(async () => {
  site = await ClientSite.open();
});
afterAll(async () => await site.close());

/** One of its connections: a base URL and a key. */
class Connection {
  readonly #url: string;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.#url = url;
    this.#key = key;
  }

  /** Whatever the status is, it takes JSON as the answer; anything else counts as no answer. */
  async list(path: string): Promise<unknown> {
    const response = await fetch(this.#url + path, {
      headers: { "content-type": "application/json", authorization: `Bearer ${this.#key}` },
      signal: AbortSignal.timeout(LIST_TIMEOUT_MS),
    });
    const text = await response.text();
    return response.headers.get("content-type")?.startsWith("application/json") === true ? JSON.parse(text) : undefined;
  }

  async send(method: string, path: string, body: object): Promise<Response> {
    const headers = { "content-type": "application/json", authorization: `Bearer ${this.#key}` };
    return await fetch(this.#url + path, { method, headers, body: JSON.stringify(body) });
  }
}

function connections(): { readonly here: Connection; readonly away: Connection } {
  const key = site.server.tokens.gp;
  return { here: new Connection(site.address(BOX), key), away: new Connection(site.address(AWAY_BOX), key) };
}

/** Its page of models: of all connections side by side, and then which of them are loaded. */
async function modelsOf(all: readonly Connection[]): Promise<{ models: string[]; loaded: string[] }> {
  const lists = await Promise.all(all.map(async (each) => Models.parse((await each.list("/api/tags")) ?? {})));
  const running = await Promise.all(all.map(async (each) => Models.parse((await each.list("/api/ps")) ?? {})));
  return {
    models: lists.flatMap(({ models }) => models ?? []).map(({ model }) => model),
    loaded: running.flatMap(({ models }) => models ?? []).map(({ name }) => name),
  };
}

test("lists the models of the box that is there while another one is away", async () => {
  const { here, away } = connections();
  const startedMs = performance.now();
  expect(await modelsOf([here, away])).toEqual({ models: [SAMPLE.name], loaded: [] });
  expect(performance.now() - startedMs).toBeLessThan(LIST_TIMEOUT_MS);
});

test("finds the lowest version of all connections: numbers between dots, from each that answers with JSON", async () => {
  const { here, away } = connections();
  const answers = await Promise.all([here, away].map(async (each) => await each.list("/api/version")));
  const versions = answers.filter((answer) => answer !== undefined).map((answer) => Version.parse(answer).version);
  expect(versions).toContain("0.32.15");
  for (const version of versions) expect(version).toMatch(/^\d+(\.\d+)+$/);
});

test("verifies a connection by its version, and shows the reason when the key is wrong", async () => {
  expect(await connections().here.list("/api/version")).toEqual({ version: "0.32.15" });
  const wrong = new Connection(site.address(BOX), "wrong");
  expect(await wrong.list("/api/version")).toEqual({ error: expect.stringContaining("token") });
});

test("pulls with insecure and a stream of lines, unloads by an empty prompt, and deletes", async () => {
  const { here } = connections();
  const pulled = await here.send("POST", "/api/pull", { model: SMALL.name, insecure: true });
  const lines = (await pulled.text()).trim().split("\n");
  expect(JSON.parse(lines.at(-1) ?? "")).toEqual({ status: "success" });
  const unloaded = await here.send("POST", "/api/generate", { model: SMALL.name, keep_alive: 0, prompt: "" });
  expect(await unloaded.json()).toMatchObject({ done: true, done_reason: "unload" });
  const copied = await here.send("POST", "/api/copy", { source: SMALL.name, destination: "copied" });
  expect(copied.status).toBe(200);
  expect((await modelsOf([here])).models.toSorted()).toEqual(["copied:latest", SAMPLE.name, SMALL.name].toSorted());
  for (const model of ["copied:latest", SMALL.name]) {
    const deleted = await here.send("DELETE", "/api/delete", { model, name: model });
    expect(deleted.status).toBe(200);
  }
  expect((await modelsOf([here])).models).toEqual([SAMPLE.name]);
});
