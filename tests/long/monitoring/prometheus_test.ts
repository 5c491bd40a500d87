// docs/monitoring and /metrics with a real Prometheus: promtool finds no fault, and a scrape of 20 boxes has all that it should.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { METRIC_NAMES } from "#src/program/metrics/families.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";
import { ROOT } from "../../../scripts/binaries.ts";
import { Prometheus, prometheusTool } from "./debian_prometheus.ts";

/** `.ci/nightly` scrapes for longer. */
const SECONDS = Number(process.env["SCRAPE_SECONDS"] ?? 8);
const BOXES = Array.from({ length: 20 }, (_, index) => `gpu-${index + 1}`);
const PULLED = { name: "tiny:latest", layers: [20_000_000, 500] };
const SLOW = { name: "slow:latest", layers: [900_000_000, 500] };
const PHI = { name: "phi4:latest", layers: [200_000, 1000] };
/** A fleet that is new has none of them. */
const RARE = ["gpu_courier_gpu_memory_used_bytes", "gpu_courier_gpu_memory_total_bytes"];

const dir = mkdtempSync(join(tmpdir(), "gpu-courier-prometheus-"));
let site: ProcessSite;
let server: HttpServer;

beforeAll(async () => {
  site = new ProcessSite();
  const modelsDir = join(dir, "models");
  const models = { catalog: [PHI, PULLED, SLOW], installed: [PHI], modelsDir };
  const ollama = await site.ollama({ ...models, bytesPerSecond: 5_000_000 });
  const labeled = ["--label", "site=berlin", "--ollama-models", modelsDir];
  await site.fleet(
    BOXES.map((name) => ({
      name,
      ollamaUrl: ollama.url,
      args: [...labeled, "--metrics-file", join(dir, `${name}.prom`), ...(name === "gpu-1" ? ["--mirror-source"] : [])],
    })),
  );
  const secretFile = join(dir, "webhook.secret");
  writeFileSync(secretFile, `whsec_${Buffer.alloc(32, 7).toString("base64")}\n`, { mode: 0o600 });
  // Nobody listens there.
  const desired = join(dir, "fleet.yaml");
  writeFileSync(desired, `models:\n  - name: ${PHI.name}\n    on: all\n`);
  const hooks = ["--webhook", "http://127.0.0.1:9/", "--webhook-secret-file", secretFile];
  server = await site.server([...hooks, "--desired", desired, "--mirror"]);
  await fetch(`${ollama.url}/api/generate`, {
    method: "POST",
    body: JSON.stringify({ model: PHI.name, stream: false }),
  });
  await until(
    async () => (await scrape()).includes('gpu_courier_running_vram_bytes{agent="gpu-20"'),
    "all are listed",
    60_000,
    500,
  );
}, 120_000);
afterAll(async () => {
  await site.close();
  rmSync(dir, { recursive: true, force: true });
});

async function scrape(): Promise<string> {
  const headers = { authorization: `Bearer ${server.tokens.viewer}` };
  const response = await fetch(`${server.url}/metrics`, { headers });
  if (!response.ok) throw new Error(`GET /metrics: ${response.status}`);
  return await response.text();
}

async function promtool(args: readonly string[], input = ""): Promise<{ status: number; text: string }> {
  const child = Bun.spawn([await prometheusTool("promtool"), ...args], {
    cwd: join(ROOT, "docs/monitoring"),
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, text: `${stdout}${stderr}` };
}

test("promtool check metrics finds no fault in a scrape and in the file of a box, and one in a bad scrape", async () => {
  const text = await scrape();
  const ofBox = await Bun.file(join(dir, "gpu-7.prom")).text();
  expect(ofBox).toContain('gpu_courier_agent_up{agent="gpu-7"} 1\n');
  for (const each of [text, ofBox]) expect(await promtool(["check", "metrics"], each)).toEqual({ status: 0, text: "" });
  const bad = await promtool(
    ["check", "metrics"],
    text.replaceAll("gpu_courier_jobs_ended_total", "gpu_courier_jobs_ended"),
  );
  expect(bad.status).not.toBe(0);
});

test("promtool accepts the alerts, and each alert fires in its test and is silent before", async () => {
  const checked = await promtool(["check", "rules", "alerts.yml"]);
  expect(checked).toMatchObject({ status: 0, text: expect.stringContaining("12 rules found") });
  expect(await promtool(["test", "rules", "alerts_test.yml"])).toMatchObject({ status: 0 });
});

test(
  "a Prometheus with a token from a file scrapes all boxes, and every query of the dashboard and the alerts works",
  async () => {
    writeFileSync(join(dir, "token"), `${server.tokens.viewer}\n`);
    // The counters are looked at once a minute: here there is no minute.
    const alerts = await Bun.file(join(ROOT, "docs/monitoring/alerts.yml")).text();
    writeFileSync(join(dir, "alerts.yml"), alerts.replaceAll("[15m:1m]", "[15m:1s]"));
    const config = {
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: [join(dir, "alerts.yml")],
      scrape_configs: [
        {
          job_name: "gpu-courier",
          authorization: { credentials_file: join(dir, "token") },
          static_configs: [{ targets: [new URL(server.url).host] }],
        },
      ],
    };
    // YAML is a superset of JSON.
    writeFileSync(join(dir, "prometheus.yml"), JSON.stringify(config));
    mkdirSync(join(dir, "data"));
    await using prometheus = await Prometheus.start(dir);
    const valueOf = async (query: string): Promise<number | undefined> => (await prometheus.query(query))[0]?.value;
    await until(async () => (await valueOf("sum(gpu_courier_agent_up)")) === BOXES.length, "all boxes are scraped");
    await server.call("POST", "/v1/jobs", { kind: "pull", model: PULLED.name, agents: ["gpu-1"] });
    await server.call("POST", "/v1/jobs", { kind: "pull", model: "missing:latest", agents: ["gpu-2"] });
    await server.call("POST", "/v1/jobs", { kind: "pull", model: SLOW.name, agents: ["gpu-3"] });
    const beganMs = performance.now();
    await until(
      async () => (await valueOf('gpu_courier_jobs_ended_total{agent="gpu-1",result="succeeded"}')) === 1,
      "the pull ended",
      60_000,
      200,
    );
    await Bun.sleep(Math.max(0, SECONDS * 1000 - (performance.now() - beganMs)));
    await expectScraped(prometheus);
  },
  (SECONDS + 180) * 1000,
);

async function expectScraped(prometheus: Prometheus): Promise<void> {
  const { activeTargets } = await prometheus.get<{ activeTargets: { health: string; lastError: string }[] }>(
    "/api/v1/targets",
  );
  expect(activeTargets).toMatchObject([{ health: "up", lastError: "" }]);
  const names = await prometheus.get<string[]>("/api/v1/label/__name__/values");
  const missing = METRIC_NAMES.filter(
    (name) => !names.some((each) => each.replace(/_(?:bucket|sum|count)$/, "") === name),
  );
  expect(missing.filter((name) => !RARE.includes(name))).toEqual([]);
  const agents = await prometheus.query('gpu_courier_model_info{model="phi4:latest"}');
  expect(new Set(agents.map(({ metric }) => metric["agent"]))).toEqual(new Set(BOXES));
  const failed = await prometheus.query('sum by (agent, code) (gpu_courier_jobs_ended_total{result="failed"}) > 0');
  expect(failed).toMatchObject([{ metric: { agent: "gpu-2", code: "not_found" }, value: 1 }]);
  expect(await prometheus.query('deriv(gpu_courier_job_completed_bytes{agent="gpu-3"}[20s]) > 0')).toMatchObject([
    { metric: { agent: "gpu-3", model: "slow:latest" } },
  ]);
  await expectQueriesWork(prometheus);
  // The one that must: a pull failed. The tests of the rules show when the others do.
  const firing = await prometheus.query('ALERTS{alertstate="firing"}');
  expect(firing.map(({ metric }) => `${metric["alertname"]} ${metric["agent"]}`)).toEqual(["GpuPullFailed gpu-2"]);
}

async function expectQueriesWork(prometheus: Prometheus): Promise<void> {
  const dashboard: { panels: { title: string; targets?: { expr: string }[] }[] } = await Bun.file(
    join(ROOT, "docs/monitoring/dashboard.json"),
  ).json();
  const empty: string[] = [];
  for (const { title, targets = [] } of dashboard.panels) {
    for (const { expr } of targets) {
      const found = await prometheus.query(expr.replaceAll("$agent", ".*").replaceAll("$__rate_interval", "10s"));
      if (found.length === 0) empty.push(title);
    }
  }
  expect([...new Set(empty)]).toEqual(["GPU memory in use", "Commands without a response", "Refused and forged"]);
}
