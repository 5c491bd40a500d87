// Pulls from registries that are not allowed: refused in both versions of the protocol, and when a kept job starts.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { AgentParts } from "#src/agent/assemble.ts";
import { CourierError } from "#src/base/errors.ts";
import { AllowedRegistries } from "#src/program/registry/allowed_registries.ts";
import { DEFAULT_REGISTRIES } from "#src/program/registry/registry_host.ts";
import { ForbiddenRedirect } from "#src/program/registry/requests.ts";
import { MemorySite, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

const MODEL = "10.0.0.1:8443/internal/secrets:latest";
const MESSAGE = `Cannot pull "${MODEL}" on gpu-1: pulls are allowed there from registry.ollama.ai, hf.co, huggingface.co only`;

let site: MemorySite;
let ollama: ScriptedOllama;
/** The models whose registry the agent itself asked. */
let looked: string[];
beforeEach(async () => {
  site = new MemorySite();
  ollama = new ScriptedOllama();
  looked = [];
  await site.listen({ replyTo: "tester" });
  await site.listen("shared");
});
afterEach(async () => await site.close());

function allowing(...allowed: readonly string[]): Pick<AgentParts, "ollama" | "registry" | "registries"> {
  const readManifest = async (model: string): Promise<never> => {
    looked.push(model);
    return await Promise.reject(new CourierError("unavailable", "registry cannot be reached"));
  };
  const registries = new AllowedRegistries({ agent: "gpu-1", allowed, insecure: [] });
  return { ollama, registry: { readManifest }, registries };
}

test("a version 2 pull is refused before anything is asked, forced or not, and leaves no job", async () => {
  await site.start("gpu-1", allowing(...DEFAULT_REGISTRIES));
  for (const force of [false, true]) {
    const id = `id-${force}`;
    await site.command("gpu-1", id, { command: "pull_model", model_name: MODEL, arguments: { force } });
    expect(site.replies.get(id)).toMatchObject({ success: false, code: "forbidden", error: MESSAGE });
  }
  expect([ollama.calls, looked, (await site.state("gpu-1")).jobs]).toEqual([[], [], []]);
});

test("a version 1 pull is refused likewise", async () => {
  await site.start("gpu-1", allowing(...DEFAULT_REGISTRIES));
  await site.clock.advance(2_000);
  await site.send("shared", "pull_model_1", { command: "pull_model", model_name: MODEL });
  expect(site.replies.get("pull_model_1")).toMatchObject({ success: false, error: MESSAGE });
  expect([ollama.calls, looked, (await site.state("gpu-1")).jobs]).toEqual([[], [], []]);
});

test("a refused pull is among the commands that the state shows as refused, and is not counted as one", async () => {
  await site.start("gpu-1", allowing(...DEFAULT_REGISTRIES));
  await site.command("gpu-1", "id-1", { command: "pull_model", model_name: MODEL });
  const { refused, refused_commands } = await site.state("gpu-1");
  expect(refused).toMatchObject([
    { command_id: "id-1", command: "pull_model", model: MODEL, code: "forbidden", error: MESSAGE },
  ]);
  expect(refused_commands).toBe(0);
});

test("a pull whose registry redirects to what is not allowed is refused, and a queued one fails at its turn", async () => {
  let location = "https://cdn.example/";
  const readManifest = async (model: string): Promise<never> => {
    looked.push(model);
    throw location.includes("10.0.0.1")
      ? new ForbiddenRedirect("registry.ollama.ai", new URL(location))
      : new CourierError("unavailable", "cannot be reached");
  };
  await site.start("gpu-1", { ...allowing("*"), registry: { readManifest } });
  const first = Promise.withResolvers<void>();
  ollama.pullEnds = first.promise;
  for (const [index, model] of ["first", "second"].entries())
    await site.command("gpu-1", `id-${index}`, { command: "pull_model", model_name: model });
  location = "https://10.0.0.1/secret";
  await site.command("gpu-1", "id-3", { command: "pull_model", model_name: "third" });
  expect(site.replies.get("id-3")).toMatchObject({ success: false, code: "forbidden" });
  await site.clock.advance(20_000);
  first.resolve();
  await site.clock.advance(120_000);
  expect((await site.state("gpu-1")).jobs).toMatchObject([
    { model: "first:latest", state: "succeeded" },
    { model: "second:latest", state: "failed", code: "forbidden", retries: 0 },
  ]);
  expect(ollama.calls).toEqual(["pull first:latest"]);
});

test("a job that was kept when its registry was allowed fails when it starts", async () => {
  const dir = site.stateDir();
  ollama.pullEnds = new Promise(() => undefined);
  const before = await site.start("gpu-1", { dir, ...allowing("*") });
  await site.command("gpu-1", "id-1", { command: "pull_model", model_name: MODEL });
  expect(ollama.calls).toEqual([`pull ${MODEL}`]);
  before.stop.abort();
  await site.clock.advance(20_000);
  before.ledger.close();
  [ollama, looked] = [new ScriptedOllama(), []];
  await site.start("gpu-1", { dir, ...allowing(...DEFAULT_REGISTRIES) });
  const { jobs } = await site.state("gpu-1");
  expect(jobs).toMatchObject([{ model: MODEL, state: "failed", code: "forbidden" }]);
  expect(jobs[0]?.error).toStartWith(MESSAGE);
  expect([ollama.calls, looked]).toEqual([[], []]);
});
