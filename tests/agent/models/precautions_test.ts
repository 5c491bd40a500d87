// What an agent looks at before it pulls, deletes or overwrites: the disk, who shares, what is loaded, what is protected.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { AgentParts } from "#src/agent/assemble.ts";
import { CourierError } from "#src/base/errors.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { digestOf, ModelsFixture } from "#tests/support/disk/models_fixture.ts";
import { MemorySite, PHI4, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";
import { until } from "#tests/support/until.ts";

/** More than any disk has. */
const HUGE_BYTES = 2 ** 49;

let site: MemorySite;
let ollama: ScriptedOllama;
let dir: ModelsFixture;
/** By model; anything else cannot be asked for. */
let sizes: Record<string, number>;
beforeEach(async () => {
  site = new MemorySite();
  ollama = new ScriptedOllama();
  dir = new ModelsFixture();
  sizes = {};
  await site.listen({ replyTo: "tester" });
  await site.listen("shared");
});
afterEach(async () => {
  await site.close();
  dir.remove();
});

async function start(options: Partial<AgentParts> = {}): Promise<void> {
  const readManifest: NonNullable<AgentParts["registry"]>["readManifest"] = async (model) => {
    const bytes = sizes[model];
    if (bytes === undefined) throw new CourierError("unavailable", "registry.example cannot be reached");
    return await Promise.resolve({ digest: "", layers: [{ digest: digestOf("f"), bytes }], totalBytes: bytes });
  };
  // The folder is this Ollama's only when it holds what Ollama lists.
  dir.manifest("kept:latest", { e: 1 });
  ollama.models = [PHI4, ...dir.listed().filter(({ name }) => name !== PHI4.name)];
  await site.start("gpu-1", { ollama, modelsDir: dir.path, registry: { readManifest }, ...options });
  // The look at the disk takes real time. A test that moves the clock by 2 s during it makes the disk look hung.
  if (options.modelsDir === undefined) await until(async () => (await site.state("gpu-1")).disk !== null);
}

/** Sends a command and waits for its answer: real files are read in between. */
async function answer(id: string, fields: object) {
  await site.command("gpu-1", id, fields);
  await until(() => site.replies.has(id));
  return site.replies.get(id);
}

async function pull(id: string, model: string, force?: boolean) {
  const fields = { command: "pull_model", model_name: model };
  return await answer(id, force === undefined ? fields : { ...fields, arguments: { force } });
}

async function remove(id: string, model: string) {
  return await answer(id, { command: "delete_model", model_name: model });
}

describe("pull_model", () => {
  test("is refused with the figures when the disk is too small, before Ollama is asked", async () => {
    sizes["big:latest"] = HUGE_BYTES;
    await start();
    const refused = await pull("id-1", "big");
    expect(refused).toMatchObject({ success: false, code: "exhausted" });
    expect(refused?.error).toMatch(/^Cannot pull "big:latest" on gpu-1: 562.9 TB needed, .* free in \/.*\/blobs$/);
    expect(refused?.hint).toContain("--force");
    expect(ollama.calls).toEqual([]);
    expect((await site.state("gpu-1")).jobs).toEqual([]);
  });

  test("continues when forced, and its job shows that", async () => {
    sizes["big:latest"] = HUGE_BYTES;
    ollama.pullEnds = new Promise(() => undefined);
    await start();
    const begun = await pull("id-1", "big", true);
    expect(begun).toMatchObject({ success: true, job: { model: "big:latest", total_bytes: HUGE_BYTES } });
    await until(() => ollama.calls.length > 0);
    await settle();
    expect((await site.state("gpu-1")).jobs).toMatchObject([
      { total_bytes: HUGE_BYTES, note: expect.stringMatching(/^forced: 562.9 TB needed/) },
    ]);
  });

  test("joins the pull under way, whatever the disk", async () => {
    sizes["big:latest"] = HUGE_BYTES;
    ollama.pullEnds = new Promise(() => undefined);
    await start();
    const ids = [(await pull("id-1", "big", true))?.job?.id, (await pull("id-2", "BIG"))?.job?.id];
    expect(ids[0]).toBeString();
    expect(ids[1]).toBe(ids[0] ?? "");
  });

  test("of a legacy backend that does not fit is a job that failed", async () => {
    sizes["big:latest"] = HUGE_BYTES;
    await start();
    await site.clock.advance(2_000);
    await site.send("shared", "pull_model_1", { command: "pull_model", model_name: "big" });
    await until(() => site.replies.has("pull_model_1"));
    expect(site.replies.get("pull_model_1")).toMatchObject({ success: true });
    let jobs: readonly object[] = [];
    await until(() => {
      void site.state("gpu-1").then((state) => (jobs = state.jobs));
      return JSON.stringify(jobs).includes('"failed"');
    });
    expect(jobs).toMatchObject([{ model: "big:latest", state: "failed", code: "exhausted", completed_bytes: 0 }]);
    expect(ollama.calls).toEqual([]);
  });

  test("knows its size while it is queued, and is looked at again when it begins", async () => {
    sizes["next:latest"] = 1000;
    const end = Promise.withResolvers<void>();
    ollama.pullEnds = end.promise;
    await start();
    await pull("id-1", "first");
    expect((await pull("id-2", "next"))?.job).toMatchObject({ state: "queued", total_bytes: 1000, note: null });
    // It was replaced at its registry by a larger one.
    sizes["next:latest"] = HUGE_BYTES;
    // A look at the disk takes real time: a clock that moves on meanwhile would make it seem to hang.
    await site.clock.leap(10_000);
    end.resolve();
    let ended = false;
    await until(() => {
      void site.state("gpu-1").then(({ jobs }) => (ended = jobs.some(({ code }) => code === "exhausted")));
      return ended;
    });
    expect(ollama.calls).toEqual(["pull first:latest"]);
  });
});

describe("delete_model", () => {
  test("reports what it freed, and what stays because others share it", async () => {
    dir.manifest("phi4:latest", { a: 9_000, b: 500 });
    dir.manifest("phi4:14b", { a: 9_000 });
    dir.blob("a", 9_000);
    dir.blob("b", 500);
    const deleteModel = ollama.deleteModel.bind(ollama);
    ollama.deleteModel = async (name) => {
      dir.removeBlob("b");
      dir.removeManifest(name);
      await deleteModel(name);
    };
    await start();
    expect(await remove("id-1", "phi4")).toMatchObject({
      success: true,
      message: "Successfully deleted model phi4:latest: 500 B freed, kept 9.0 kB shared with phi4:14b",
      freed_bytes: 500,
      shared_bytes: 9_000,
    });
  });

  test("reports null where the folder of the models cannot be read", async () => {
    await start({ modelsDir: join(dir.path, "none") });
    expect(await remove("id-1", "phi4")).toMatchObject({
      message: "Successfully deleted model phi4:latest",
      freed_bytes: null,
      shared_bytes: null,
    });
  });

  test("unloads a loaded model first", async () => {
    ollama.running = [{ name: "phi4:latest", size: 1, size_vram: 1, expires_at: "2026-01-02T03:04:05Z" }];
    await start();
    expect(await remove("id-1", "phi4")).toMatchObject({ success: true });
    expect(ollama.calls).toEqual(["unload phi4:latest", "delete phi4:latest"]);
  });

  test("deletes a model that is busy too, and says that it stays in memory", async () => {
    ollama.running = [{ name: "phi4:latest", size: 1, size_vram: 1, expires_at: "2026-01-02T03:04:05Z" }];
    ollama.unloadModel = async (name) => {
      ollama.calls.push(`unload ${name}`);
      await Promise.resolve();
    };
    await start();
    await site.command("gpu-1", "id-1", { command: "delete_model", model_name: "phi4" });
    await until(() => {
      void site.clock.advance(1_000);
      return site.replies.has("id-1");
    });
    expect(site.replies.get("id-1")?.message).toBe(
      "Successfully deleted model phi4:latest: it stays in memory until its current request finishes",
    );
    expect(ollama.calls).toEqual(["unload phi4:latest", "delete phi4:latest"]);
  });

  test("of what is being pulled cancels first, and says both in one answer", async () => {
    ollama.pullEnds = new Promise(() => undefined);
    await start();
    await pull("id-1", "phi4");
    await pull("id-2", "new");
    const deleting = site.command("gpu-1", "id-3", { command: "delete_model", model_name: "phi4" });
    await site.command("gpu-1", "id-4", { command: "delete_model", model_name: "new" });
    await deleting;
    await until(() => {
      void site.clock.advance(1_000);
      return site.replies.has("id-3") && site.replies.has("id-4");
    });
    expect(site.replies.get("id-3")?.message).toBe("Successfully deleted model phi4:latest: its pull was cancelled");
    expect(site.replies.get("id-4")?.message).toBe("Cancelled the pull of model new:latest, which was not installed");
    expect((await site.state("gpu-1")).jobs.map(({ state }) => state)).toEqual(["cancelled", "cancelled"]);
  });
});

describe("a protected model", () => {
  beforeEach(async () => await start({ protect: ["phi4:*"] }));

  test("is not deleted, by new or old commands, and its pull goes on", async () => {
    ollama.pullEnds = new Promise(() => undefined);
    await pull("id-1", "phi4");
    const refused = await remove("id-2", "registry.ollama.ai/library/PHI4");
    expect(refused).toMatchObject({ success: false, code: "forbidden" });
    expect(refused?.error).toContain("it is protected there by --protect phi4:*");
    await site.clock.advance(2_000);
    await site.send("shared", "delete_model_1", { command: "delete_model", model_name: "phi4" });
    expect(site.replies.get("delete_model_1")).toMatchObject({
      success: false,
      error: refused?.error?.replace("PHI4", "phi4"),
    });
    expect((await site.state("gpu-1")).jobs[0]).toMatchObject({ model: "phi4:latest", state: "running" });
    expect(ollama.calls).toEqual(["pull phi4:latest"]);
    expect(ollama.models.map(({ name }) => name)).toContain(PHI4.name);
  });

  test("is not deleted under a name that Ollama takes for it", async () => {
    for (const [index, name] of ["phi4:local", "library/phi4:LOCAL"].entries())
      expect(await remove(`id-${index}`, name)).toMatchObject({ code: "invalid" });
    expect(ollama.calls).toEqual([]);
  });

  test("is not overwritten by a copy, and may be copied", async () => {
    const copy = async (id: string, model: string, destination: string) =>
      await answer(id, { command: "copy_model", model_name: model, arguments: { destination } });
    expect(await copy("id-1", "other", "phi4:mine")).toMatchObject({ success: false, code: "forbidden" });
    expect(await copy("id-2", "phi4", "mine")).toMatchObject({ success: true });
    expect(ollama.calls).toEqual(["copy phi4:latest mine:latest"]);
  });
});
