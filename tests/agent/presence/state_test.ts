// The state document and name conflicts, on the memory transport.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Ledger } from "#src/agent/ledger/ledger.ts";
import { agentName, openStateDir, readInstance } from "#src/agent/presence/identity.ts";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { noServiceManager } from "#src/program/service_manager.ts";
import { LIMITS, State } from "#src/protocol.ts";
import { parseRawKey } from "#src/trust/keys.ts";
import { verifyDocument } from "#src/trust/signature.ts";
import { MemorySite, PHI4, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

let site: MemorySite;
beforeEach(() => {
  site = new MemorySite();
});
afterEach(async () => await site.close());

describe("state", () => {
  test("publish() moves the document every 5 s when nothing changes", async () => {
    await site.start("gpu-1");
    await site.clock.advance(1000);
    const first = await site.state("gpu-1");
    await site.clock.advance(15_000);
    const later = await site.state("gpu-1");
    expect(later.sequence - first.sequence).toBe(3);
    expect(later).toMatchObject({ status: "running", agent: "gpu-1", ollama_available: true, processed_commands: 0 });
  });

  test("publish() signs the document with the agent's key, places it and dates it by the transport's clock", async () => {
    await site.platform.connect();
    const dir = site.stateDir();
    for (const boot of [1, 2]) {
      const { stop, ended, ledger } = await site.start("gpu-1", { dir });
      await site.clock.advance(5000);
      const record = await site.platform.readState("gpu-1");
      const text = record !== null && "text" in record.content ? record.content.text : "";
      const { key = "", boot: counted, published_at_ms } = State.parse(JSON.parse(text));
      expect(verifyDocument("state", text, parseRawKey(key))).toBe("signed");
      expect([counted, published_at_ms]).toEqual([boot, record?.publishedAtMs]);
      stop.abort();
      await ended;
      ledger.close();
    }
  });

  test("publish() publishes without a signature when the agent could make no key", async () => {
    await site.start("gpu-1", { key: null });
    const state = await site.state("gpu-1");
    expect([state.key, state.boot, state.published_at_ms, state.signature]).toEqual(Array(4).fill(undefined));
  });

  test("publish() keeps the last known models, with the reason why Ollama is not reachable", async () => {
    const ollama = new ScriptedOllama();
    await site.start("gpu-1", { ollama });
    await site.clock.advance(100);
    ollama.trouble = Promise.reject(new CourierError("unavailable", "Ollama does not answer"));
    ollama.trouble.catch(() => undefined);
    await site.clock.advance(5000);
    const down = await site.state("gpu-1");
    expect(down).toMatchObject({
      ollama_available: false,
      models: [PHI4],
      ollama: { error: "Ollama does not answer" },
    });
    ollama.trouble = Promise.resolve();
    await site.clock.advance(5000);
    expect((await site.state("gpu-1")).ollama).toMatchObject({ reachable: true, error: null, version: "0.32.15" });
  });

  test("publish() has null models until Ollama answered once", async () => {
    const ollama = new ScriptedOllama();
    ollama.trouble = new Promise<never>(() => undefined);
    await site.start("gpu-1", { ollama });
    expect(await site.state("gpu-1")).toMatchObject({ models: null, model_count: null, ollama: { checked_at: null } });
  });

  test("publish() cuts lists that are too long and names them", async () => {
    const ollama = new ScriptedOllama();
    ollama.models = Array.from({ length: 3000 }, (_, i) => ({ ...PHI4, name: `model-${i}:latest` }));
    await site.start("gpu-1", { ollama });
    await site.clock.advance(100);
    await site.platform.connect();
    const record = await site.platform.readState("gpu-1");
    const text = record !== null && "text" in record.content ? record.content.text : "";
    expect(Buffer.byteLength(text)).toBeWithin(1000, LIMITS.stateBytes + 1);
    const state = State.parse(JSON.parse(text));
    expect(state).toMatchObject({ model_count: 3000, truncated: ["models"] });
    expect(state.models?.length).toBeWithin(500, 3000);
  });

  test("run() publishes stopped even if Ollama hangs", async () => {
    const ollama = new ScriptedOllama();
    ollama.listModels = async () => await new Promise<never>(() => undefined);
    const { stop, ended } = await site.start("gpu-1", { ollama });
    await site.clock.advance(6000);
    stop.abort();
    await site.clock.advance(1000);
    await ended;
    expect((await site.state("gpu-1")).status).toBe("stopped");
  });

  test("publish() shows Ollama as not reachable all the time while its list fails and its version works", async () => {
    const ollama = new ScriptedOllama();
    ollama.listModels = async () => await Promise.reject(new CourierError("unavailable", "Cannot list"));
    await site.start("gpu-1", { ollama });
    for (let second = 0; second < 30; second++) {
      await site.clock.advance(1000);
      expect((await site.state("gpu-1")).ollama).toMatchObject({ reachable: false, error: "Cannot list" });
    }
  });

  test("publish() keeps the newer of two lists when the older one arrives last", async () => {
    const ollama = new ScriptedOllama();
    await site.listen({ replyTo: "tester" });
    await site.start("gpu-1", { ollama });
    await site.clock.advance(100);
    const older = Promise.withResolvers<(typeof PHI4)[]>();
    const listModels = ollama.listModels.bind(ollama);
    ollama.listModels = async () => await older.promise;
    await site.command("gpu-1", "id-1", { command: "list_models" });
    ollama.listModels = listModels;
    await site.command("gpu-1", "id-2", { command: "delete_model", model_name: "phi4" });
    older.resolve([PHI4]);
    await site.clock.advance(100);
    expect((await site.state("gpu-1")).models).toEqual([]);
  });

  test("run() publishes stopped last", async () => {
    const { stop, ended } = await site.start("gpu-1");
    stop.abort();
    await ended;
    expect((await site.state("gpu-1")).status).toBe("stopped");
  });
});

describe("names", () => {
  test("readInstance() suggests a fix when the disk is full at the first start, and works once there is space", () => {
    const dir = site.stateDir();
    expect(openStateDir(dir)).toBe(false);
    const full = (path: string): never => {
      writeFileSync(path, "");
      throw Object.assign(new Error("write"), { code: "ENOSPC" });
    };
    expect(() => readInstance(dir, full)).toThrow(
      expect.objectContaining({ code: "exhausted", message: expect.stringContaining("no space left on its disk") }),
    );
    const instance = readInstance(dir);
    expect(instance).toMatch(/^[0-9a-f-]{36}$/);
    expect(readInstance(dir)).toBe(instance);
  });

  test("openStateDir() counts a start that a full disk ended before it had an identity as none", () => {
    const dir = site.stateDir();
    writeFileSync(join(dir, "instance"), "");
    expect(openStateDir(dir)).toBe(false);
    readInstance(dir);
    expect(openStateDir(dir)).toBe(true);
  });

  test("readInstance() and openStateDir() suggest a fix when this user has no access", () => {
    const file = join(site.stateDir(), "file");
    writeFileSync(file, "");
    for (const ask of [() => openStateDir(file), () => readInstance(file)]) {
      expect(ask).toThrow(expect.objectContaining({ code: "forbidden", hint: expect.stringContaining("--state-dir") }));
    }
  });

  test("agentName() turns the short host name into an address, or suggests a fix", () => {
    expect(agentName(undefined, "GPU-Box-7.example.org")).toBe("gpu-box-7");
    expect(agentName("gpu-1", "other")).toBe("gpu-1");
    for (const name of ["gpu", "", "a_b", "-a", "a-", "A", "../x", "a".repeat(64)]) {
      expect(() => agentName(name)).toThrow("as the agent's name");
    }
  });

  test("run() waits, degraded, while another agent publishes under its name, and starts once that one is silent", async () => {
    const statuses: string[] = [];
    const service = { ...noServiceManager, status: (text: string) => void statuses.push(text) };
    const logged: string[] = [];
    const log = { ...silentLog, error: (_: object, message: string) => void logged.push(message) };
    const first = await site.start("gpu-1", { instance: "one" });
    await site.start("gpu-1", { instance: "two", service, log });
    await site.clock.advance(600_000);
    // The one that was there first is not disturbed.
    expect(await site.state("gpu-1")).toMatchObject({ instance: "one", status: "running" });
    expect(statuses.at(-1)).toContain('degraded: Another agent is called "gpu-1"');
    expect(logged).toEqual(['Another agent is called "gpu-1": it runs on this machine too']);
    await site.kill(first);
    await site.clock.advance(19_000);
    await expectNobody("two");
    await site.clock.advance(7_000);
    expect(await site.state("gpu-1")).toMatchObject({ instance: "two", status: "running" });
    expect(statuses.at(-1)).toStartWith("gpu-1 on memory");
    expect(statuses.at(-1)).not.toContain("degraded");
  });

  test.each(["{", JSON.stringify({ version: 3 })])(
    "run() goes on waiting when its name shows %s for a moment",
    async (text) => {
      const first = await site.start("gpu-1", { instance: "one" });
      await site.start("gpu-1", { instance: "two" });
      await site.clock.advance(10_000);
      await site.kill(first);
      await site.platform.connect();
      await site.platform.publishState("gpu-1", text);
      await site.clock.advance(10_000);
      expect((await site.platform.readState("gpu-1"))?.content).toEqual({ text });
      await site.clock.advance(20_000);
      expect((await site.state("gpu-1")).instance).toBe("two");
    },
  );

  test("run() starts within seconds once the other agent with its name has stopped, and feeds the watchdog until then", async () => {
    let fed = 0;
    const service = { ...noServiceManager, alive: () => void (fed += 1) };
    const first = await site.start("gpu-1", { instance: "one" });
    await site.start("gpu-1", { instance: "two", service });
    await site.clock.advance(60_000);
    expect(fed).toBeGreaterThan(50);
    first.stop.abort();
    await site.clock.advance(3_000);
    expect((await site.state("gpu-1")).instance).toBe("two");
  });

  async function expectNobody(instance: string): Promise<void> {
    expect((await site.state("gpu-1")).instance).not.toBe(instance);
  }

  test("run() starts after 12 s of watching when the other agent with its name is silent after a crash", async () => {
    await site.start("gpu-1", { instance: "one" });
    const text = JSON.stringify(await site.state("gpu-1"));
    await site.close();
    site = new MemorySite();
    await site.platform.connect();
    await site.platform.publishState("gpu-1", text);
    await site.start("gpu-1", { instance: "two" });
    await site.clock.advance(11_000);
    expect((await site.state("gpu-1")).instance).toBe("one");
    await site.clock.advance(2000);
    expect((await site.state("gpu-1")).instance).toBe("two");
  });

  test("run() is degraded and takes no commands while a clone of it publishes, and recovers when the clone is gone", async () => {
    await site.listen({ replyTo: "tester" });
    await site.start("gpu-1");
    const clone = { ...(await site.state("gpu-1")), started_at: "2020-01-01T00:00:00.000Z", host: "clone" };
    await site.platform.publishState("gpu-1", JSON.stringify(clone));
    await site.clock.advance(5000);
    expect(await site.state("gpu-1")).toMatchObject({ status: "degraded" });
    expect((await site.state("gpu-1")).degraded_reason).toContain("on clone");
    await site.command("gpu-1", "id-1", { command: "ping" });
    expect(site.replies.size).toBe(0);
    await site.clock.advance(25_000);
    expect((await site.state("gpu-1")).status).toBe("running");
    await site.command("gpu-1", "id-2", { command: "ping" });
    expect(site.replies.get("id-2")?.success).toBe(true);
  });

  test("Ledger refuses a second process in one state directory, until the first one closes it", () => {
    const dir = site.stateDir();
    const first = new Ledger(dir);
    expect(() => new Ledger(dir)).toThrow("another agent is using");
    first.close();
    new Ledger(dir).close();
  });
});
