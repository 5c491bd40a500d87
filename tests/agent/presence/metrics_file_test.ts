// --metrics-file: what node_exporter finds on the box.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CourierError } from "#src/base/errors.ts";
import type { Log } from "#src/base/log.ts";
import { silentLog } from "#src/base/log.ts";
import { seriesOf } from "#tests/server/metrics/series.ts";
import { MemorySite, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

let site: MemorySite;
let folder: string;
let path: string;
beforeEach(() => {
  site = new MemorySite();
  folder = site.stateDir();
  path = join(folder, "gpu-courier.prom");
});
afterEach(async () => await site.close());

const read = (): Map<string, number> => seriesOf(readFileSync(path, "utf8"));
const statusOf = (series: Map<string, number>): string[] =>
  [...series].filter(([name, value]) => value === 1 && name.includes("_status{")).map(([name]) => name);
const NAME = "gpu_courier_";
const OWN = '{agent="gpu-1"}';

test("has the metrics of the box by the names that the server uses, readable for everybody", async () => {
  const ollama = new ScriptedOllama();
  ollama.running = [{ name: "phi4:latest", size: 9, size_vram: 8, expires_at: "" }];
  await site.start("gpu-1", { ollama, metricsFile: path, labels: { site: "berlin" } });
  // Before the first scrape that most do.
  await site.clock.advance(6_000);
  const series = read();
  const ofBox = Object.fromEntries(
    ["transport_up", "agent_up", "ollama_up", "models", "clock_offset_seconds"].map((name) => [
      name,
      series.get(`${NAME}${name}${OWN}`),
    ]),
  );
  expect(ofBox).toEqual({ transport_up: 1, agent_up: 1, ollama_up: 1, models: 1, clock_offset_seconds: 0 });
  expect(statusOf(series)).toEqual([`${NAME}agent_status{agent="gpu-1",status="online"}`]);
  expect(series.get(`${NAME}running_vram_bytes{agent="gpu-1",model="phi4:latest"}`)).toBe(8);
  expect(series.get(`${NAME}agent_labels{agent="gpu-1",label_site="berlin"}`)).toBe(1);
  // node_exporter has process metrics of its own, and a build_info would be that of a server.
  expect([...series.keys()].filter((name) => !name.startsWith(NAME) || name.includes("build_info"))).toEqual([]);
  expect(statSync(path).mode & 0o777).toBe(0o644);
  expect(readdirSync(folder)).toEqual(["gpu-courier.prom"]);
});

test("is there before the share is, and goes on while the share is away", async () => {
  site.store.interrupt(new CourierError("unavailable", "not mounted"));
  await site.start("gpu-1", { metricsFile: path });
  expect(read().get(`${NAME}transport_up${OWN}`)).toBe(0);
  expect(read().get(`${NAME}agent_up${OWN}`)).toBe(1);
  expect(read().has(`${NAME}clock_offset_seconds${OWN}`)).toBe(false);
  site.store.restore();
  await site.clock.advance(31_000);
  expect(read().get(`${NAME}transport_up${OWN}`)).toBe(1);
  site.store.interrupt(new CourierError("unavailable", "stalled"));
  await site.clock.advance(31_000);
  expect(statusOf(read())).toEqual([`${NAME}agent_status{agent="gpu-1",status="share_stale"}`]);
  expect(read().get(`${NAME}models${OWN}`)).toBe(1);
});

test("shows when the agent stops, without the figures of the past", async () => {
  const { stop, ended } = await site.start("gpu-1", { metricsFile: path });
  stop.abort();
  await site.clock.advance(10_000);
  await ended;
  expect(read().get(`${NAME}agent_up${OWN}`)).toBe(0);
  expect(statusOf(read())).toEqual([`${NAME}agent_status{agent="gpu-1",status="stopped"}`]);
  expect(read().size).toBe(8);
});

test("that cannot be written is logged, and written as soon as it can be; the agent works meanwhile", async () => {
  const logged: object[] = [];
  const log: Log = { ...silentLog, warn: (fields) => void logged.push(fields) };
  const late = join(folder, "later", "gpu-courier.prom");
  await site.start("gpu-1", { metricsFile: late, log });
  await site.clock.advance(31_000);
  expect(logged).toContainEqual({ reason: `Cannot write ${late}: ENOENT`, hint: expect.stringContaining("folder") });
  expect((await site.state("gpu-1")).status).toBe("running");
  mkdirSync(join(folder, "later"));
  await site.clock.advance(16_000);
  expect(existsSync(late)).toBe(true);
});

test("never follows a link that somebody put in its folder", async () => {
  const victim = join(folder, "victim");
  writeFileSync(victim, "unchanged");
  for (const link of [path, `${path}.new`]) symlinkSync(victim, link);
  await site.start("gpu-1", { metricsFile: path });
  expect(read().get(`${NAME}agent_up${OWN}`)).toBe(1);
  expect(readFileSync(victim, "utf8")).toBe("unchanged");
});
