// Holds src/agent/ollama/ollama.ts against the simulation and, when OLLAMA_TEST_URL is set, against a real Ollama: there
// OLLAMA_TEST_MODEL (default gemma3:270m) is pulled and deleted, and OLLAMA_TEST_INSECURE=1 says that its registry speaks
// plain HTTP.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type SimulatedOllama, startSimulatedOllama } from "#sim/ollama/ollama.ts";
import { Ollama, type PullProgress } from "#src/agent/ollama/ollama.ts";
import { CourierError } from "#src/base/errors.ts";
import { failure } from "#tests/support/failure.ts";

interface Subject {
  readonly url: string;
  readonly model: string;
  /** The model's registry, when it speaks plain HTTP. */
  readonly insecureRegistry: string | undefined;
  close(): Promise<void>;
}

async function openSimulation(): Promise<Subject> {
  const registry = "127.0.0.1:5000";
  const model = `${registry}/library/gemma:270m`;
  const catalog = [{ name: model, layers: [12_000_000, 400, 3_000_000] }];
  const simulation: SimulatedOllama = await startSimulatedOllama({
    catalog,
    plainHttpRegistries: [registry],
    bytesPerSecond: 40_000_000,
  });
  return { url: simulation.url, model, insecureRegistry: registry, close: async () => await simulation.stop() };
}

async function openReal(url: string): Promise<Subject> {
  const model = process.env["OLLAMA_TEST_MODEL"] ?? "gemma3:270m";
  const registry = process.env["OLLAMA_TEST_INSECURE"] === "1" ? model.split("/")[0] : undefined;
  return await Promise.resolve({ url, model, insecureRegistry: registry, close: async () => await Promise.resolve() });
}

function suite(open: () => Promise<Subject>): void {
  let subject: Subject;
  let ollama: Ollama;

  beforeAll(async () => {
    subject = await open();
    const { url, insecureRegistry } = subject;
    ollama = new Ollama({ url, insecureRegistries: insecureRegistry === undefined ? [] : [insecureRegistry] });
  });
  afterAll(async () => await subject.close());

  const names = async (): Promise<string[]> => (await ollama.listModels()).map(({ name }) => name);
  const makeAbsent = async (): Promise<void> => {
    if ((await names()).includes(subject.model)) await ollama.deleteModel(subject.model);
  };
  /** Right after a cancelled pull, Ollama may answer `context canceled` once or twice. */
  const pullPatiently = async (): Promise<void> => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await ollama.pullModel(subject.model);
      } catch (error) {
        if (attempt === 20 || !(error instanceof CourierError) || error.code !== "unavailable") throw error;
        await Bun.sleep(100);
      }
    }
  };

  test("version() returns three numbers", async () => {
    expect(await ollama.version()).toMatch(/^\d+\.\d+\.\d+/);
  });

  test("listRunning() returns nothing when nothing is loaded", async () => {
    expect(await ollama.listRunning()).toEqual([]);
  });

  test("pullModel() resolves with the model in the list, and its bytes reported, when it was not there", async () => {
    await makeAbsent();
    const seen: PullProgress[] = [];
    await ollama.pullModel(subject.model, { onProgress: (progress) => seen.push(progress) });
    const listed = (await ollama.listModels()).find(({ name }) => name === subject.model);
    expect(listed?.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(Number.isNaN(Date.parse(listed?.modified_at ?? ""))).toBe(false);
    const phases = seen.map(({ phase }) => phase).filter((phase, index, all) => phase !== all[index - 1]);
    expect(phases).toEqual(["manifest", "downloading", "verifying", "writing"]);
    const bytes = seen.map(({ completedBytes }) => completedBytes);
    expect(bytes).toEqual(bytes.toSorted((a, b) => a - b));
    const { completedBytes, totalBytes } = seen.at(-1) ?? { completedBytes: -1, totalBytes: -2 };
    expect(completedBytes).toBe(totalBytes ?? -2);
    // A blob that is whole before its first line is due gets none, and is counted in the list alone.
    expect(completedBytes).toBeLessThanOrEqual(listed?.size ?? 0);
    expect(completedBytes).toBeGreaterThan((listed?.size ?? 0) * 0.75);
  });

  test("listModels() has the details of a model", async () => {
    await pullPatiently();
    const listed = (await ollama.listModels()).find(({ name }) => name === subject.model);
    expect(listed?.details).toMatchObject({
      format: "gguf",
      quantization_level: expect.stringMatching(/^[A-Z0-9_]+$/),
    });
  });

  test("pullModel() resolves and reports the whole model when it is there already", async () => {
    await pullPatiently();
    const seen: PullProgress[] = [];
    await ollama.pullModel(subject.model, { onProgress: (progress) => seen.push(progress) });
    const listed = (await ollama.listModels()).find(({ name }) => name === subject.model);
    const size = listed?.size ?? 0;
    expect(seen.at(-1)).toEqual({ phase: "writing", completedBytes: size, totalBytes: size, receivedBytes: 0 });
  });

  test("pullModel() throws cancelled when its signal aborts, and can be called again", async () => {
    await makeAbsent();
    const controller = new AbortController();
    const onProgress = ({ phase }: PullProgress): void => {
      if (phase === "downloading") controller.abort();
    };
    const error = await failure(ollama.pullModel(subject.model, { signal: controller.signal, onProgress }));
    expect(error.code).toBe("cancelled");
    expect(await names()).not.toContain(subject.model);
    await pullPatiently();
    expect(await names()).toContain(subject.model);
  });

  test("pullModel() throws not_found when the registry has no such model", async () => {
    const error = await failure(ollama.pullModel(subject.model.replace(/[^/]+$/, "no-such-model:1b")));
    expect(error.code).toBe("not_found");
  });

  test("pullModel() throws invalid with a hint when a registry without TLS is not listed", async () => {
    if (subject.insecureRegistry === undefined) return;
    const error = await failure(new Ollama({ url: subject.url }).pullModel(subject.model));
    expect(error.code).toBe("invalid");
    expect(error.hint).toContain("--insecure-registry");
  });

  test("pullModel() throws unavailable when the registry refuses the connection", async () => {
    const error = await failure(ollama.pullModel("127.0.0.1:9/library/tiny:latest"));
    expect(error.code).toBe("unavailable");
    expect(error.hint).toContain("registry");
  });

  test("pullModel() and deleteModel() throw invalid for an invalid name", async () => {
    expect((await failure(ollama.pullModel("../etc/passwd"))).code).toBe("invalid");
    expect((await failure(ollama.deleteModel("a b"))).code).toBe("invalid");
  });

  test("copyModel() gives the model a second name with the same content, twice as well as once", async () => {
    await pullPatiently();
    try {
      for (let i = 0; i < 2; i++) await ollama.copyModel(subject.model, "gpu-courier-copy:one");
      const copies = (await ollama.listModels()).filter(({ name }) =>
        [subject.model, "gpu-courier-copy:one"].includes(name),
      );
      expect(copies.length).toBe(2);
      expect(new Set(copies.map(({ digest }) => digest)).size).toBe(1);
    } finally {
      await ollama.deleteModel("gpu-courier-copy:one");
    }
  });

  test("copyModel(), showModel(), loadModel() and unloadModel() throw not_found for a model that is not there", async () => {
    for (const call of [
      async () => await ollama.copyModel("gpu-courier-none", "x"),
      async () => await ollama.showModel("gpu-courier-none"),
      async () => await ollama.loadModel("gpu-courier-none"),
      async () => await ollama.unloadModel("gpu-courier-none"),
    ])
      expect((await failure(call())).code).toBe("not_found");
  });

  test("loadModel() loads the model for as long as it was asked to, twice as well as once, when Ollama can", async () => {
    await pullPatiently();
    for (const keepAliveSeconds of [60, 600]) {
      const [loaded] = await Promise.allSettled([ollama.loadModel(subject.model, { keepAliveSeconds })]);
      // Bytes of a test are no model, and an Ollama that was only compiled has no runner.
      if (loaded?.status === "rejected") return expect(loaded.reason).toMatchObject({ code: "internal" });
      const running = await ollama.listRunning();
      expect(running.map(({ name }) => name)).toEqual([subject.model]);
      const leftMs = Date.parse(running[0]?.expires_at ?? "") - Date.now();
      expect(Math.abs(leftMs - keepAliveSeconds * 1000)).toBeLessThan(20_000);
    }
    await ollama.loadModel(subject.model, { keepAliveSeconds: -1 });
    expect((await ollama.listRunning())[0]?.expires_at).toMatch(/^2[1-9]\d\d-/);
    await untilUnloaded();
  });

  test("unloadModel() takes the model out of memory", async () => {
    await pullPatiently();
    await untilUnloaded();
    expect(await ollama.listRunning()).toEqual([]);
  });

  async function untilUnloaded(): Promise<void> {
    await ollama.unloadModel(subject.model);
    for (let look = 0; (await ollama.listRunning()).length > 0 && look < 100; look++) await Bun.sleep(100);
  }

  test("unloadModel() is content with a model that is not in memory", async () => {
    await pullPatiently();
    await ollama.unloadModel(subject.model);
    expect(await ollama.listRunning()).toEqual([]);
  });

  test("showModel() returns what Ollama reads in the model, when it can", async () => {
    await pullPatiently();
    const shown = await Promise.allSettled([ollama.showModel(subject.model)]);
    for (const result of shown) {
      // Bytes of a test are no model: then Ollama says "invalid file magic".
      if (result.status === "rejected") expect(String(result.reason)).toContain("invalid file magic");
      else expect(Object.keys(result.value)).toEqual(expect.arrayContaining(["details", "model_info"]));
    }
  });

  test("deleteModel() takes the model out of the list, and throws not_found when it is gone", async () => {
    await pullPatiently();
    await ollama.deleteModel(subject.model);
    expect(await names()).not.toContain(subject.model);
    expect((await failure(ollama.deleteModel(subject.model))).code).toBe("not_found");
  });
}

describe("Ollama, simulated", () => suite(openSimulation));

const realUrl = process.env["OLLAMA_TEST_URL"];
if (realUrl === undefined) process.stderr.write("OLLAMA_TEST_URL is not set: no real Ollama is tried\n");
else describe(`Ollama, real at ${realUrl}`, () => suite(async () => await openReal(realUrl)));
