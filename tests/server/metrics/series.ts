// A server with a clock, and the series of its scrapes.
import { expect } from "bun:test";
import { type Job, newPull } from "#src/protocol.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { type Call, openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

export const START_MS = Date.parse("2026-01-02T03:04:05.000Z");

export async function openSite() {
  const clock = new ManualClock(START_MS);
  const store = new MemoryStore(clock);
  return { clock, store, server: await openServer({ clock, store }) };
}

/** Of gpu-1, after the server started. */
export function endedJob(id: string, change: Partial<Job> = {}): Job {
  const ended_at = new Date(START_MS + 2_000).toISOString();
  return { ...newPull(id, "gpu-1", "phi4"), state: "failed", code: "unavailable", ended_at, ...change };
}

/** `gpu_courier_models{agent="gpu-1"}` and its value. Fails where a series is there twice. */
export async function scrape(server: ServerUnderTest, call: Call = {}, query = ""): Promise<Map<string, number>> {
  const response = await server.request("GET", `/metrics${query}`, call);
  expect(response.status).toBe(200);
  return seriesOf(await response.text());
}

export function seriesOf(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const series = new Map(
    lines.map((line) => {
      const [, name, value] = /^([a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})?) (\S+)$/.exec(line) ?? [];
      if (name === undefined) throw new Error(`Not a line of metrics: ${line}`);
      return [name, Number(value)] as const;
    }),
  );
  expect(series.size).toBe(lines.length);
  return series;
}

/** Those that begin with the text, without it. */
export function startingWith(series: ReadonlyMap<string, number>, begin: string): Record<string, number> {
  const found = [...series].filter(([name]) => name.startsWith(begin));
  return Object.fromEntries(found.map(([name, value]) => [name.slice(begin.length), value]));
}
