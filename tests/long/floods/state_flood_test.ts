// A flood of state documents, hard links to one file that cost their writer nothing: the memory of an agent and of a server.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { linkSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LIMITS } from "#src/protocol.ts";
import { ProcessSite, type Running, until } from "#tests/process/site/site.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";

const MOST_MB = 200;
/** Rounds in which every document seems to be published again. */
const ROUNDS = 4;
const ROUND_MS = 5_500;

const PHI = { size: 9_053_116_391, modified_at: "2025-07-15T16:58:02.123456789Z", digest: "ac896e5b8b34".repeat(5) };

let site: ProcessSite;
beforeEach(() => {
  site = new ProcessSite();
});
afterEach(async () => await site.close());

/** A valid document of another agent, nearly as large as a document may be. */
function largeState(): string {
  const state = sampleDocument("v2/state.json");
  const models = Array.from({ length: 1_100 }, (_, n) => ({ ...PHI, name: `model-${n}:latest` }));
  return JSON.stringify({ ...state, agent: "gpu-0", models });
}

function flood(count: number, text: string): string {
  const first = join(site.share, "gpu_status", "x0_status.json");
  writeFileSync(first, text);
  for (let n = 1; n < count; n++) linkSync(first, join(site.share, "gpu_status", `x${n}_status.json`));
  return first;
}

/** The most memory that a process has had so far. */
function peakMb({ pid }: Running): number {
  const kb = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kb) / 1024;
}

test.each([
  [1_500, "large", largeState()],
  [10_000, "large", largeState()],
  [10_000, "small", JSON.stringify({ ...sampleDocument("v2/state.json"), agent: "gpu-0" })],
])(
  "%d links to one %s state leave an agent and a server under 200 MB",
  async (count, _size, text) => {
    const ollama = await site.ollama();
    const agent = await site.agent("gpu-1", ollama.url);
    const server = await site.server();
    await until(() => site.state("gpu-1")["serves_shared_inbox"] === true, "it serves the shared inbox");
    const file = flood(count, text);
    for (let round = 1; round <= ROUNDS; round++) {
      await Bun.sleep(ROUND_MS);
      // Now each of them seems to be new.
      utimesSync(file, new Date(), new Date());
    }
    expect(text.length).toBeLessThan(LIMITS.stateBytes);
    const peaks = { agent: peakMb(agent), server: peakMb(server.process) };
    process.stdout.write(
      `${count} links to ${text.length} bytes: agent ${peaks.agent.toFixed(0)} MB, server ${peaks.server.toFixed(0)} MB\n`,
    );
    expect(peaks.agent).toBeLessThan(MOST_MB);
    expect(peaks.server).toBeLessThan(MOST_MB);
    expect(await server.call("GET", "/v1/agents")).toMatchObject({
      status: 200,
      answer: { agents: [{ agent: "gpu-1" }] },
    });
  },
  120_000,
);
