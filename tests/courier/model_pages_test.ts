// The pages of a long list of models: from answers that the test scripts, and from an agent on the memory transport.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readModelPages } from "#src/courier/cut_lists.ts";
import { Courier } from "#src/courier.ts";
import type { Response } from "#src/protocol.ts";
import { failure } from "#tests/support/failure.ts";
import { MemorySite, PHI4, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

/** @param pages by the name after which each begins */
async function read(pages: Record<string, Partial<Response>>): Promise<{ names: string[]; asked: string[] }> {
  const asked: string[] = [];
  const models = await readModelPages(async ({ arguments: { after } = { after: "" } }) => {
    asked.push(after);
    return await Promise.resolve({ success: true, ...pages[after] });
  });
  return { names: models.map(({ name }) => name), asked };
}

function page(names: string, isCut: boolean): Partial<Response> {
  const models = names.split(" ").map((name) => ({ ...PHI4, name }));
  return { models, ...(isCut ? { truncated: ["models"] } : {}) };
}

test("readModelPages() goes on behind the last model of each page", async () => {
  const { names, asked } = await read({ "": page("a b", true), b: page("c d", true), d: page("e", false) });
  expect([names, asked]).toEqual([
    ["a", "b", "c", "d", "e"],
    ["", "b", "d"],
  ]);
});

test("readModelPages() has a model once when the list changed meanwhile", async () => {
  const { names } = await read({ "": page("a b", true), b: page("new a b c", false) });
  expect(names.toSorted()).toEqual(["a", "b", "c", "new"]);
});

test("readModelPages() ends at a page that brings nothing new, or is empty", async () => {
  expect(await read({ "": page("a b", true), b: page("a b", true) })).toMatchObject({ names: ["a", "b"] });
  expect(await read({ "": { models: [], truncated: ["models"] } })).toMatchObject({ names: [], asked: [""] });
  expect(await read({ "": {} })).toMatchObject({ names: [] });
});

test("readModelPages() takes a list of version 0.1.0, which names no cut lists", async () => {
  expect(await read({ "": page("a b", false) })).toEqual({ names: ["a", "b"], asked: [""] });
});

describe("an agent with 50,000 models", () => {
  let site: MemorySite;
  let courier: Courier;
  let ollama: ScriptedOllama;
  beforeEach(async () => {
    site = new MemorySite();
    await site.platform.connect();
    courier = new Courier(site.platform, { sender: "tester", timeoutMs: 30_000, clock: site.clock });
    ollama = new ScriptedOllama();
    ollama.models = Array.from({ length: 50_000 }, (_, i) => ({ ...PHI4, name: `${"m".repeat(30)}-${i}:latest` }));
    await site.start("gpu-1", { ollama });
    await site.clock.advance(6000);
  });
  afterEach(async () => {
    await courier.close();
    await site.close();
  });

  test("listModels() reads page after page, and has all of them", async () => {
    const { models, unavailable } = await courier.listModels();
    expect([new Set(models.map(({ name }) => name)).size, unavailable]).toEqual([50_000, []]);
    await site.clock.advance(6000);
    expect((await site.state("gpu-1")).processed_commands).toBe(3);
  });

  test("describeModel() shows the last of them with one command", async () => {
    const [last] = ollama.models.slice(-1);
    const { model, show } = await courier.describeModel("gpu-1", last?.name ?? "");
    expect(model).toMatchObject({ ...last, agents: ["gpu-1"] });
    expect(show.license).toBe("MIT");
    await site.clock.advance(6000);
    expect((await site.state("gpu-1")).processed_commands).toBe(1);
    expect(await failure(courier.describeModel("gpu-1", "nope"))).toMatchObject({ code: "not_found" });
  });
});
