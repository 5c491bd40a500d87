// GET /metrics: the fleet, as each caller may see it.
import { describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { newPull } from "#src/protocol.ts";
import { RecentTexts } from "#src/server/metrics/recent_texts.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";
import { endedJob, openSite, START_MS, scrape, startingWith } from "./series.ts";

const NAME = "gpu_courier_";
const SILENT_MS = 25_000;

describe("GET /metrics", () => {
  test("has the figures of each box, in the text format of Prometheus", async () => {
    const { clock, store, server } = await openSite();
    await using _ = server;
    const agent = await ScriptedAgent.open(store, "gpu-1", { models: [modelOf("phi4", { size: 7 })] });
    agent.running = [{ name: "phi4", size: 7, size_vram: 5, expires_at: "" }];
    agent.jobs = [
      { ...newPull("a", "gpu-1", "one"), state: "running", completed_bytes: 3, total_bytes: 9 },
      {
        ...newPull("b", "gpu-1", "two"),
        state: "running",
        retry_at: "2026-01-02T03:05:00Z",
        waiting_for: "a registry",
      },
      { ...newPull("c", "gpu-1", "three"), waiting_for: "queued behind one" },
      {
        ...newPull("d", "gpu-1", "four"),
        retry_at: "2026-01-02T20:00:00Z",
        waiting_for: "waits for its window until 2026-01-02 20:00 UTC",
      },
    ];
    const gpu = { uuid: "GPU-1", name: "H100", memory_total_bytes: 80, memory_used_bytes: 20 };
    await agent.publish({
      gpus: [
        { ...gpu, index: 0 },
        { ...gpu, index: 1, memory_used_bytes: null },
      ],
      labels: { site: "berlin", "rack no": "4" },
      refused_commands: 2,
      clock_offset_ms: -1500,
    });
    await clock.advance(1_000);
    const response = await server.request("GET", "/metrics");
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(response.headers.get("cache-control")).toBe("no-store");
    const series = await scrape(server);
    expect(series.get(`${NAME}transport_up`)).toBe(1);
    expect(startingWith(series, `${NAME}build_info`)).toEqual({ '{version="0.1.0"}': 1 });
    const ofAgent = (name: string) => series.get(`${NAME}${name}{agent="gpu-1"}`);
    expect(Object.fromEntries(FIGURES.map((name) => [name, ofAgent(name)]))).toEqual({
      agent_up: 1,
      agent_last_seen_timestamp_seconds: START_MS / 1000,
      agent_name_conflict: 0,
      ollama_up: 1,
      models: 1,
      disk_free_bytes: 4e9,
      disk_total_bytes: 1e12,
      clock_offset_seconds: -1.5,
      commands_processed_total: 0,
      commands_refused_total: 2,
    });
    const withLabels = (name: string) => startingWith(series, `${NAME}${name}{agent="gpu-1",`);
    expect(withLabels("agent_info")).toEqual({ 'version="0.1.0",ollama_version="0.12.0"}': 1 });
    expect(withLabels("agent_labels")).toEqual({ 'label_site="berlin",label_rack_no="4"}': 1 });
    expect(withLabels("gpu_memory_used_bytes")).toEqual({ 'gpu="0"}': 20 });
    expect(withLabels("gpu_memory_total_bytes")).toEqual({ 'gpu="0"}': 80, 'gpu="1"}': 80 });
    expect(withLabels("jobs")).toEqual({
      'state="queued"}': 2,
      'state="waiting"}': 1,
      'state="running"}': 1,
      'state="verifying"}': 0,
    });
    expect(withLabels("model_info")).toEqual({ 'model="phi4",digest="ac89"}': 1 });
    expect(withLabels("model_size_bytes")).toEqual({ 'model="phi4"}': 7 });
    expect(withLabels("running_vram_bytes")).toEqual({ 'model="phi4"}': 5 });
    expect(withLabels("job_completed_bytes")).toEqual({
      'model="one"}': 3,
      'model="two"}': 0,
      'model="three"}': 0,
      'model="four"}': 0,
    });
    expect(withLabels("job_total_bytes")).toEqual({ 'model="one"}': 9 });
    await agent.close();
  });

  test("shows the status of an agent as one of all, and a silent one without the figures of the past", async () => {
    const { clock, store, server } = await openSite();
    await using _ = server;
    const agent = await ScriptedAgent.open(store, "gpu-1");
    await clock.advance(1_000);
    const statuses = async () => {
      const found = startingWith(await scrape(server), `${NAME}agent_status{agent="gpu-1",status="`);
      expect(Object.keys(found)).toHaveLength(7);
      return Object.keys(found).filter((status) => found[status] === 1);
    };
    expect(await statuses()).toEqual(['online"}']);
    await agent.publish({ ollama: { reachable: false, version: null, error: "refused", checked_at: agent.now() } });
    await clock.advance(1_000);
    expect(await statuses()).toEqual(['ollama_down"}']);
    expect((await scrape(server)).get(`${NAME}ollama_up{agent="gpu-1"}`)).toBe(0);
    await agent.publish({ status: "degraded", degraded_reason: "another gpu-1 runs on box2" });
    await clock.advance(1_000);
    expect(await statuses()).toEqual(['degraded"}']);
    expect((await scrape(server)).get(`${NAME}agent_name_conflict{agent="gpu-1"}`)).toBe(1);
    await clock.advance(SILENT_MS);
    expect(await statuses()).toEqual(['silent"}']);
    const series = await scrape(server);
    expect(series.get(`${NAME}agent_up{agent="gpu-1"}`)).toBe(0);
    expect(series.has(`${NAME}agent_last_seen_timestamp_seconds{agent="gpu-1"}`)).toBe(true);
    for (const name of ["ollama_up", "models", "disk_free_bytes", "jobs", "model_info", "clock_offset_seconds"])
      expect(startingWith(series, `${NAME}${name}{`)).toEqual({});
    await agent.close();
  });

  test("answers while the share is away, and without any agent", async () => {
    const { clock, store, server } = await openSite();
    await using _ = server;
    expect((await scrape(server)).get(`${NAME}transport_up`)).toBe(1);
    const agent = await ScriptedAgent.open(store, "gpu-1");
    await clock.advance(1_000);
    store.interrupt(new CourierError("unavailable", "The share is away"));
    await clock.advance(2_000);
    const series = await scrape(server);
    expect(series.get(`${NAME}transport_up`)).toBe(0);
    expect(series.get(`${NAME}agent_up{agent="gpu-1"}`)).toBe(0);
    expect(series.get(`${NAME}agent_status{agent="gpu-1",status="share_stale"}`)).toBe(1);
    await agent.close();
  });

  test("answers before the share was ever reached", async () => {
    await using server = await openServer({ reached: false });
    expect((await scrape(server)).get(`${NAME}transport_up`)).toBe(0);
  });

  test("ends the series of a box that is removed, and begins its counters again when it is back", async () => {
    const { clock, store, server } = await openSite();
    await using _ = server;
    const agent = await ScriptedAgent.open(store, "gpu-1");
    agent.jobs = [endedJob("a")];
    await clock.advance(1_000);
    await agent.publish();
    await clock.advance(1_000);
    const failed = `${NAME}jobs_ended_total{agent="gpu-1",result="failed",code="unavailable"}`;
    expect((await scrape(server)).get(failed)).toBe(1);
    const [view] = server.services.fleet.lastKnown();
    await server.transport.forget("gpu-1", Date.parse(view?.lastSeenAt ?? ""));
    await clock.advance(10_000);
    expect([...(await scrape(server)).keys()].filter((name) => name.includes("gpu-1"))).toEqual([]);
    await agent.publish();
    await clock.advance(1_000);
    const series = await scrape(server);
    expect(series.get(`${NAME}agent_up{agent="gpu-1"}`)).toBe(1);
    expect(series.has(failed)).toBe(false);
    await agent.close();
  });

  test("keeps what a box calls its models, GPUs and labels inside their labels, and each series there once", async () => {
    const { clock, store, server } = await openSite();
    await using _ = server;
    const agent = await ScriptedAgent.open(store, "gpu-1");
    const hostile = 'x"} 1\nforged_total{a="';
    const gpu = { index: 0, uuid: "", name: hostile, memory_total_bytes: 1, memory_used_bytes: 1 };
    const models = [
      modelOf(hostile),
      modelOf(hostile, { digest: "other" }),
      modelOf("y".repeat(900)),
      modelOf("y".repeat(800)),
    ];
    agent.jobs = [newPull("a", "gpu-1", hostile), newPull("b", "gpu-1", hostile)];
    await agent.publish({
      models,
      gpus: [gpu, gpu],
      labels: { "a-b": hostile, a_b: "second", 'q"': "third" },
      agent_version: `0.1.0\n${"v".repeat(5_000)}`,
      running: [0, 1].map(() => ({ name: hostile, size: 1, size_vram: 1, expires_at: "" })),
    });
    await clock.advance(1_000);
    const series = await scrape(server);
    expect([...series.keys()].filter((name) => name.startsWith("forged_total"))).toEqual([]);
    const shown = 'x\\"} 1 forged_total{a=\\"';
    expect(startingWith(series, `${NAME}model_size_bytes{agent="gpu-1",model="`)).toEqual({
      [`${shown}"}`]: 9_053_116_391,
      [`${"y".repeat(128)}"}`]: 9_053_116_391,
    });
    expect(startingWith(series, `${NAME}agent_labels{agent="gpu-1",`)).toEqual({
      [`label_a_b="${shown}",label_q_="third"}`]: 1,
    });
    expect(Math.max(...[...series.keys()].map((name) => name.length))).toBeLessThan(500);
    await agent.close();
  });

  test("leaves the series of each model out of a large fleet, unless they are asked for", async () => {
    const { clock, store, server } = await openSite();
    await using _ = server;
    const agent = await ScriptedAgent.open(store, "gpu-1", { models: [modelOf("phi4")] });
    const openMore = async (from: number, to: number) => {
      for (let each = from; each <= to; each++) {
        const { agent: name, ...state } = JSON.parse(await textOf());
        await server.transport.publishState(`more-${each}`, JSON.stringify({ ...state, agent: `more-${each}` }));
        expect(name).toBe("gpu-1");
      }
      await clock.advance(1_000);
    };
    const textOf = async () => {
      const { content } = (await server.transport.readState("gpu-1")) ?? expect.unreachable();
      return "text" in content ? content.text : expect.unreachable();
    };
    await openMore(1, 499);
    const sizes = async (query: string) =>
      Object.keys(startingWith(await scrape(server, {}, query), `${NAME}model_size_bytes`)).length;
    expect(await sizes("")).toBe(500);
    await openMore(500, 500);
    expect([await sizes(""), await sizes("?collect=models")]).toEqual([0, 501]);
    expect((await scrape(server)).get(`${NAME}models{agent="gpu-1"}`)).toBe(1);
    await agent.close();
  });
});

const FIGURES = [
  "agent_up",
  "agent_last_seen_timestamp_seconds",
  "agent_name_conflict",
  "ollama_up",
  "models",
  "disk_free_bytes",
  "disk_total_bytes",
  "clock_offset_seconds",
  "commands_processed_total",
  "commands_refused_total",
];

describe("GET /metrics, again and again", () => {
  test.each(["", "?collect=models"])("makes the text of a large fleet again only after a while: %p", async (query) => {
    // Each look at the time takes 10 ms, as making that text may.
    const clock = new ManualClock(START_MS);
    let lookedMs = 0;
    const slow = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() + (lookedMs += 10),
      sleep: async (durationMs: number, signal?: AbortSignal) => await clock.sleep(durationMs, signal),
    };
    await using server = await openServer({ clock: slow, store: new MemoryStore(clock) });
    await ScriptedAgent.open(server.store, "gpu-1");
    const only = server.tokens.add("only-1", "viewer", { expiresAtMs: null, agents: ["gpu-1"], verbs: null });
    const textFor = async (token: string) => await (await server.request("GET", `/metrics${query}`, { token })).text();
    const [first, scoped] = [await textFor(server.gp), await textFor(only)];
    expect([await textFor(server.viewer), await textFor(only)]).toEqual([first, scoped]);
    expect(scoped).not.toContain("http_request_duration");
    await clock.advance(10_000);
    expect(await textFor(server.gp)).not.toBe(first);
  });

  test("keeps a text twenty times as long as it took to make, 5 s at most, and few of them", () => {
    let nowMs = 0;
    let made = 0;
    const texts = new RecentTexts({ monotonic: () => nowMs });
    const get = (key: string, makingMs: number): string =>
      new TextDecoder().decode(
        texts.get(key, () => {
          nowMs += makingMs;
          return `${key} ${(made += 1)}`;
        }),
      );
    expect([get("a", 10), get("a", 10), get("b", 10)]).toEqual(["a 1", "a 1", "b 2"]);
    nowMs = 10 + 200;
    expect([get("a", 1_000), get("b", 0)]).toEqual(["a 3", "b 4"]);
    nowMs = 1_210 + 4_999;
    expect(get("a", 0)).toBe("a 3");
    nowMs += 1;
    expect([get("a", 250), get("a", 250)]).toEqual(["a 5", "a 5"]);
    for (let number = 0; number < 8; number++) get(`c${number}`, 250);
    expect(get("a", 0)).toBe("a 14");
  });
});

describe("GET /metrics, by token", () => {
  test("needs a token, of any role, and reads only", async () => {
    const { server } = await openSite();
    await using _ = server;
    expect((await server.call("GET", "/metrics", { token: null })).status).toBe(401);
    const asViewer = await server.request("GET", "/metrics", { token: server.viewer });
    expect(asViewer.status).toBe(200);
    expect(await asViewer.text()).toContain("process_resident_memory_bytes ");
    expect((await server.request("HEAD", "/metrics", { token: server.viewer })).status).toBe(200);
    expect((await server.call("POST", "/metrics")).status).toBe(405);
    expect((await server.call("GET", "/metrics?collect=everything")).body.code).toBe("invalid");
  });

  test("shows a token for some agents nothing of the others, and nothing of the server", async () => {
    const { clock, store, server } = await openSite();
    await using _ = server;
    const agents = await Promise.all(["gpu-1", "gpu-2"].map((name) => ScriptedAgent.open(store, name)));
    await clock.advance(1_000);
    const token = server.tokens.add("one", "gp", { expiresAtMs: null, agents: ["gpu-1"], verbs: null });
    const series = await scrape(server, { token });
    expect(series.get(`${NAME}agent_up{agent="gpu-1"}`)).toBe(1);
    expect([...series.keys()].filter((name) => /gpu-2|process_|_seconds_bucket/.test(name))).toEqual([]);
    for (const agent of agents) await agent.close();
  });

  test("shows a token for some verbs the series of what they list", async () => {
    const { clock, store, server } = await openSite();
    await using _ = server;
    const agent = await ScriptedAgent.open(store, "gpu-1", { models: [modelOf("phi4")] });
    agent.running = [{ name: "phi4", size: 1, size_vram: 1, expires_at: "" }];
    agent.jobs = [newPull("a", "gpu-1", "new")];
    await agent.publish();
    await clock.advance(1_000);
    const shown = async (verb: "ping" | "list_models" | "list_running" | "list_jobs") => {
      const token = server.tokens.add(`only-${verb}`, "viewer", { expiresAtMs: null, agents: null, verbs: [verb] });
      const series = await scrape(server, { token });
      const names = ["model_info", "running_vram_bytes", "job_completed_bytes", "jobs", "jobs_ended_total", "models"];
      return names.filter((name) => Object.keys(startingWith(series, `${NAME}${name}{`)).length > 0);
    };
    expect(await shown("ping")).toEqual(["models"]);
    expect(await shown("list_models")).toEqual(["model_info", "models"]);
    expect(await shown("list_running")).toEqual(["running_vram_bytes", "models"]);
    expect(await shown("list_jobs")).toEqual(["job_completed_bytes", "jobs", "jobs_ended_total", "models"]);
    await agent.close();
  });
});
