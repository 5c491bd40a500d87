// A pull that waits between its attempts gives its slot to others, and shows the reason.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import type { Job } from "#src/protocol.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

let site: MemorySite;
let ollama: ScriptedOllama;
/** Pulls of these fail, as those of a registry that cannot be reached. */
let failing: Set<string>;
/** Pulls of these stay under way. */
let endless: Set<string>;
/** Why a pull of `failing` fails. */
let reason: string;
beforeEach(async () => {
  site = new MemorySite();
  ollama = new ScriptedOllama();
  failing = new Set();
  endless = new Set();
  reason = "no such host";
  const pullModel = ollama.pullModel.bind(ollama);
  const never = new Promise<void>(() => undefined);
  ollama.pullModel = async (name, options) => {
    ollama.pullEnds = endless.has(name) ? never : Promise.resolve();
    if (!failing.has(name)) return await pullModel(name, options);
    ollama.calls.push(`pull ${name}`);
    throw new CourierError("unavailable", `Cannot pull "${name}": ${reason}`);
  };
  await site.listen({ replyTo: "tester" });
});
afterEach(async () => await site.close());

async function pull(model: string): Promise<Job | undefined> {
  await site.command("gpu-1", `pull-${model}`, { command: "pull_model", model_name: model });
  return site.replies.get(`pull-${model}`)?.job;
}

async function jobs(): Promise<readonly Job[]> {
  return (await site.state("gpu-1")).jobs;
}

async function states(): Promise<string[]> {
  return (await jobs()).map(({ model, state }) => `${model} ${state}`);
}

test("a younger pull runs while an older one waits to retry, and the older one is queued with its reason", async () => {
  failing = new Set(["typo:latest"]);
  await site.start("gpu-1", { ollama });
  await pull("typo");
  await site.clock.advance(4000);
  const nowMs = site.clock.now();
  await pull("b");
  await settle();
  expect(await states()).toEqual(["typo:latest queued", "b:latest succeeded"]);
  const [typo] = await jobs();
  expect(typo?.waiting_for).toBe("retrying: no such host");
  expect(Date.parse(typo?.retry_at ?? "")).toBeWithin(nowMs, nowMs + 4001);
});

test.each([
  ['Get "https://hub.typo/v2/a/b": dial tcp: lookup hub.typo on 127.0.0.53:53: no such host', "no such host"],
  ['Get "https://hub.typo/v2/a/b": dial tcp: lookup hub.typo: no such host', "no such host"],
  ['Get "https://hub.typo/v2/a/b": dial tcp 192.0.2.1:443: connect: connection refused', "connection refused"],
  ['Get "https://hub.typo/v2/a/b": EOF', "EOF"],
])("shows the host and the fact of %p, and the whole text in the note", async (text, fact) => {
  failing = new Set(["typo:latest"]);
  reason = `Ollama says: pull model manifest: ${text}`;
  await site.start("gpu-1", { ollama });
  await pull("typo");
  await site.clock.advance(4000);
  expect((await jobs())[0]).toMatchObject({
    waiting_for: `retrying: hub.typo: ${fact}`,
    note: `retrying in 4 s: ${reason}`,
  });
});

test("a short pause keeps the slot", async () => {
  failing = new Set(["typo:latest"]);
  await site.start("gpu-1", { ollama });
  await pull("typo");
  await pull("b");
  await site.clock.advance(500);
  expect(await states()).toEqual(["typo:latest running", "b:latest queued"]);
  expect((await jobs())[1]?.waiting_for).toMatch(/^queued behind typo:latest \(retrying in 1 s: no such host\)$/);
});

test("an older pull whose time has come goes before younger ones that are queued", async () => {
  failing = new Set(["old:latest"]);
  endless = new Set(["b:latest"]);
  await site.start("gpu-1", { ollama });
  await pull("old");
  await site.clock.advance(3500);
  for (const model of ["b", "c"]) await pull(model);
  await site.clock.advance(10_000);
  expect(await states()).toEqual(["old:latest queued", "b:latest running", "c:latest queued"]);
  expect((await jobs())[0]?.waiting_for).toBe("queued behind b:latest");
  failing = new Set();
  const id = (await jobs())[1]?.id;
  await site.command("gpu-1", "cancel-b", { command: "cancel_job", arguments: { job_id: id } });
  await site.clock.advance(2000);
  expect(ollama.calls.slice(-2)).toEqual(["pull old:latest", "pull c:latest"]);
  expect((await jobs())[0]).toMatchObject({ state: "succeeded", retry_at: null, waiting_for: null, note: null });
});

test("a pull that waits can be joined and cancelled, and its retry never comes", async () => {
  failing = new Set(["typo:latest"]);
  await site.start("gpu-1", { ollama });
  const first = await pull("typo");
  await site.clock.advance(4000);
  expect((await pull("TYPO"))?.id).toBe(first?.id ?? null);
  await site.command("gpu-1", "cancel", { command: "cancel_job", arguments: { job_id: first?.id } });
  await settle();
  const { length } = ollama.calls;
  await site.clock.advance(120_000);
  expect(site.replies.get("cancel")).toMatchObject({ success: true, job: { state: "cancelled", retry_at: null } });
  expect(ollama.calls.length).toBe(length);
});

test("two cancels of a pull that waits end it once", async () => {
  failing = new Set(["typo:latest"]);
  await site.start("gpu-1", { ollama });
  const job_id = (await pull("typo"))?.id;
  await site.clock.advance(4000);
  for (const id of ["c1", "c2"]) await site.command("gpu-1", id, { command: "cancel_job", arguments: { job_id } });
  await settle();
  expect(["c1", "c2"].map((id) => site.replies.get(id)?.job?.state)).toEqual(["cancelled", "cancelled"]);
  expect((await jobs()).length).toBe(1);
});

test("a pull that waits is continued at once by the next start", async () => {
  failing = new Set(["typo:latest"]);
  const dir = site.stateDir();
  const first = await site.start("gpu-1", { ollama, dir });
  await pull("typo");
  await site.clock.advance(60_000);
  first.stop.abort();
  await site.clock.advance(1000);
  await first.ended;
  first.ledger.close();
  expect(await states()).toEqual(["typo:latest queued"]);
  failing = new Set();
  await site.start("gpu-1", { ollama, dir });
  await site.clock.advance(100);
  expect(await states()).toEqual(["typo:latest succeeded"]);
});

test("a pull that its registry denies is refused at once, also while another one runs; version 1 gets a failed job", async () => {
  endless = new Set(["a:latest"]);
  const registry = {
    readManifest: async (model: string) =>
      await Promise.reject(new CourierError(model === "a:latest" ? "unavailable" : "not_found", `no model ${model}`)),
  };
  await site.start("gpu-1", { ollama, registry, maxPulls: 2 });
  await pull("a");
  await pull("nope");
  expect(site.replies.get("pull-nope")).toMatchObject({
    success: false,
    code: "not_found",
    error: "no model nope:latest",
  });
  expect(await states()).toEqual(["a:latest running"]);
  await site.clock.advance(6000);
  await site.send("shared", "pull_model_1", { command: "pull_model", command_id: "pull_model_1", model_name: "nope" });
  await settle();
  expect((await jobs())[1]).toMatchObject({ model: "nope:latest", state: "failed", code: "not_found" });
  expect(ollama.calls).toEqual(["pull a:latest"]);
});

test("a pull for which nothing arrives reports that after 5 s, until something does", async () => {
  const pulling = Promise.withResolvers<void>();
  type Report = NonNullable<NonNullable<Parameters<ScriptedOllama["pullModel"]>[1]>["onProgress"]>;
  let report: Report = () => undefined;
  ollama.pullModel = async (_name, options) => {
    report = options?.onProgress ?? report;
    report({ phase: "manifest", completedBytes: 0, totalBytes: null, receivedBytes: 0 });
    await pulling.promise;
  };
  await site.start("gpu-1", { ollama, registry: null });
  await pull("quiet");
  const note = async () => (await jobs())[0]?.note;
  await site.clock.advance(4_000);
  expect(await note()).toBeNull();
  await site.clock.advance(2_000);
  expect(await note()).toBe("waiting for data from registry.ollama.ai");
  report({ phase: "downloading", completedBytes: 0, totalBytes: 100, receivedBytes: 0 });
  await site.clock.advance(1_000);
  expect(await note()).toBe("waiting for data from registry.ollama.ai");
  report({ phase: "downloading", completedBytes: 30, totalBytes: 100, receivedBytes: 30 });
  await site.clock.advance(1_000);
  expect(await note()).toBeNull();
  await site.clock.advance(6_000);
  expect(await note()).toBe("waiting for data from registry.ollama.ai");
  pulling.resolve();
  await site.clock.advance(1_000);
  expect((await jobs())[0]).toMatchObject({ state: "succeeded", note: null });
});

test("what the agent found itself stays the reason while it retries, where Ollama's own words are not shown", async () => {
  failing = new Set(["hub.typo/a/b:latest"]);
  reason = 'Ollama says: pull model manifest: Get "https://hub.typo/v2/a/b": see Ollama\'s log on gpu-1';
  const failure = "hub.typo does not answer (no such host)";
  const readManifest = async () => await Promise.reject(new CourierError("unavailable", failure));
  await site.start("gpu-1", { ollama, registry: { readManifest } });
  await site.command("gpu-1", "id-1", { command: "pull_model", model_name: "hub.typo/a/b" });
  for (let seconds = 0; seconds < 30; seconds++) {
    await site.clock.advance(1_000);
    const { note, waiting_for } = (await jobs())[0] ?? {};
    expect(`${note} ${waiting_for}`).toContain("does not answer (no such host)");
  }
  expect((await jobs())[0]?.waiting_for).toBe(
    "retrying: hub.typo: does not answer (no such host), see Ollama's log on gpu-1",
  );
});
