// The lists of models as the agent takes them from Ollama: recorded ones, those of old releases, and hostile ones.
import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { z } from "zod";
import { Ollama } from "#src/agent/ollama/ollama.ts";

const Exchange = z.object({
  name: z.string(),
  response: z.object({ lines: z.array(z.string()) }),
});

/** The recorded body of an exchange. */
function recorded(version: string, name: string): string {
  const text = readFileSync(new URL(`../../fixtures/ollama/transcript-${version}.jsonl`, import.meta.url), "utf8");
  const exchanges = text
    .trim()
    .split("\n")
    .map((line) => Exchange.parse(JSON.parse(line)));
  return exchanges.find((exchange) => exchange.name === name)?.response.lines.join("") ?? expect.unreachable();
}

const servers: Bun.Server<undefined>[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true);
});

/** An Ollama that answers everything with this body. */
function answering(body: string): Ollama {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response(body, { headers: { "content-type": "application/json; charset=utf-8" } }),
  });
  servers.push(server);
  return new Ollama({ url: `http://127.0.0.1:${server.port}` });
}

const GEMMA = {
  parent_model: "",
  format: "gguf",
  family: "gemma3",
  families: ["gemma3"],
  parameter_size: "268M",
  quantization_level: "Q4_K_M",
};

test("listModels() takes details and capabilities where Ollama has them", async () => {
  const models = await answering(recorded("0.32.15", "tags")).listModels();
  expect(models.map(({ name, details, capabilities }) => ({ name, details, capabilities }))).toEqual([
    { name: "127.0.0.1:5000/library/tiny:latest", details: GEMMA, capabilities: undefined },
    {
      name: "127.0.0.1:5000/library/gemma:270m",
      details: { ...GEMMA, context_length: 32_768, embedding_length: 640 },
      capabilities: ["completion"],
    },
  ]);
});

test("listRunning() takes digest, details and the length of the context", async () => {
  const running = await answering(recorded("0.24.0", "ps loaded")).listRunning();
  expect(running).toMatchObject([
    {
      digest: "12e34afb390fbe5ae4b098dc8bf336208c20c0dad7b9953b7532a35f4d137b64",
      details: GEMMA,
      context_length: 4096,
    },
  ]);
});

const PHI4 = { name: "phi4:latest", size: 9, modified_at: "2026-01-02T03:04:05Z", digest: "ac89" };
const LOADED = { name: "phi4:latest", size: 9, size_vram: 9, expires_at: "2026-01-02T03:04:05Z" };

test("the lists of an Ollama that sends none of this are taken as they are", async () => {
  const body = JSON.stringify({ models: [{ ...PHI4, ...LOADED }] });
  expect(await answering(body).listModels()).toEqual([PHI4]);
  const nulls = { details: { ...GEMMA, families: null }, capabilities: null, context_length: null };
  const [model] = await answering(JSON.stringify({ models: [{ ...PHI4, ...nulls }] })).listModels();
  expect(model).toEqual({ ...PHI4, details: { ...GEMMA, families: undefined } });
  expect(await answering(JSON.stringify({ models: [{ ...LOADED, ...nulls, digest: null }] })).listRunning()).toEqual([
    { ...LOADED, details: { ...GEMMA, families: undefined } },
  ]);
});

test("what a model's author made too long, or Ollama sends in another form, is left out", async () => {
  const odd = { format: 7, context_length: "long", embedding_length: -1 };
  const strange = { details: { ...GEMMA, ...odd, family: "x".repeat(1_000_000) }, capabilities: { tools: true } };
  const [model] = await answering(JSON.stringify({ models: [{ ...PHI4, ...strange }] })).listModels();
  expect(model).toEqual({ ...PHI4, details: { ...GEMMA, family: undefined, format: undefined } });
  expect(JSON.stringify(model).length).toBeLessThan(1000);
});
