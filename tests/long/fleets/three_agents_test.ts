// End to end with real processes: three agents on one share, and a legacy service.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { LegacyBackend } from "#sim/legacy/backend.ts";
import { LegacyService } from "#sim/legacy/service.ts";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { type HttpServer, ProcessSite, type Running, until } from "#tests/process/site/site.ts";

const PHI = { name: "phi4:latest", layers: [2_000_000, 1000] };
const TINY = { name: "tiny:latest", layers: [3_000_000, 500] };
const catalog = [PHI, TINY];

describe("three agents", () => {
  let site: ProcessSite;
  let ollamas: SimulatedOllama[];
  let agents: Running[];
  let server: HttpServer;
  const names = ["gpu-1", "gpu-2", "gpu-3"];

  beforeAll(async () => {
    site = new ProcessSite();
    ollamas = await Promise.all(
      names.map(async () => await site.ollama({ catalog, installed: [PHI], bytesPerSecond: 50_000_000 })),
    );
    agents = await Promise.all(names.map(async (name, i) => await site.agent(name, ollamas[i]?.url ?? "")));
    server = await site.server();
    for (const name of names) await until(() => site.state(name)["models"] !== null, `${name} knows its models`);
    await until(() => site.state("gpu-1")["serves_shared_inbox"] === true, "gpu-1 serves the shared inbox");
  }, 30_000);
  afterAll(async () => await site.close());

  test("gpuctl agents and list show the fleet as one", async () => {
    const { agents: shown } = JSON.parse((await site.gpuctl("agents", "--json")).stdout);
    expect(shown.map(({ agent, status }: Record<string, string>) => [agent, status])).toEqual(
      names.map((name) => [name, "online"]),
    );
    expect(JSON.parse((await site.gpuctl("list", "--json")).stdout).models).toMatchObject([{ name: "phi4:latest" }]);
    const held = JSON.parse((await site.gpuctl("list", "--json")).stdout).models.flatMap(
      (model: { agents: string[] }) => model.agents,
    );
    expect(held.toSorted()).toEqual(names);
  });

  test("a pull and a delete reach only the named agent, and an ambiguous one names all of them", async () => {
    const ambiguous = await server.call("POST", "/api/config/pull-model", { model_name: "tiny" });
    expect(ambiguous.status).toBe(409);
    for (const name of names) expect(String(ambiguous.answer["detail"])).toContain(name);
    expect((await site.gpuctl("rm", "phi4")).status).toBe(73);
    expect((await site.gpuctl("pull", "tiny", "--agent", "gpu-2")).status).toBe(0);
    expect(ollamas.map((ollama) => ollama.installed().includes("tiny:latest"))).toEqual([false, true, false]);
    expect((await server.call("DELETE", "/v1/agents/gpu-2/models/tiny")).status).toBe(200);
    expect(ollamas.map((ollama) => ollama.installed().includes("tiny:latest"))).toEqual([false, false, false]);
  }, 20_000);

  test("a version 1 command is answered by one of them, and by the next once that one stops", async () => {
    const backend = new LegacyBackend(site.share);
    const serving = (): string[] => names.filter((name) => site.state(name)["serves_shared_inbox"] === true);
    expect((await backend.listModels()).reason).toBe("answered");
    // The agent that was ready first served until then.
    await until(() => serving().join() === "gpu-1", "gpu-1 alone serves the shared inbox");
    await agents[0]?.stop();
    await until(() => serving().join() === "gpu-2", "gpu-2 serves the shared inbox");
    expect((await backend.listModels()).reason).toBe("answered");
    agents[0] = await site.agent("gpu-1", ollamas[0]?.url ?? "");
    await until(() => site.state("gpu-1")["models"] !== null, "gpu-1 knows its models");
    await until(() => serving().join() === "gpu-1", "gpu-1 serves the shared inbox again");
  }, 30_000);
});

describe("a legacy service", () => {
  test("it answers the new server and gpuctl list", async () => {
    const site = new ProcessSite();
    try {
      const ollama = await site.ollama({ catalog, installed: [PHI] });
      const old = new LegacyService(site.share, ollama.url, { pollMs: 300 });
      old.start();
      await site.document("gpu_status/gpu_status.json");
      const server = await site.server();
      for (let time = 1; time <= 2; time++) {
        const { status, answer } = await server.call("GET", "/api/config/models");
        expect([status, answer["models"]]).toMatchObject([200, [{ name: "phi4:latest" }]]);
        const listed = await site.gpuctl("list", "--json");
        expect(JSON.parse(listed.stdout)).toMatchObject({ models: [{ name: "phi4:latest", agents: ["gpu"] }] });
      }
      expect((await site.gpuctl("ping")).status).toBe(69);
      await old.stop();
    } finally {
      await site.close();
    }
  }, 30_000);
});
