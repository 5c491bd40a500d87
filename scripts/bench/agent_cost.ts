// What an idle agent costs on its box: how soon it is ready, its memory, its share of a core. Reads /proc: Linux only.
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Child } from "../children.ts";
import { residentMb } from "../soak/memory.ts";
import { median } from "./measure.ts";
import { agentCommand, startOllama } from "./subject.ts";

export interface AgentCost {
  readonly readyMs: number;
  readonly residentMb: number;
  readonly cpuPercent: number;
}

/** An agent is idle for weeks: what its start costs, with the compiling of what runs often, is over by then. */
const SETTLE_MS = 20_000;

/**
 * @param dir is made, and stays
 * @param starts the median of so many starts counts
 */
export async function measureAgent(dir: string, starts: number, idleMs: number): Promise<AgentCost> {
  mkdirSync(join(dir, "share"), { recursive: true });
  const ollama = await startOllama(dir);
  const command = await agentCommand(dir, ollama.url);
  const readyMs: number[] = [];
  for (let start = 1; ; start++) {
    const startedMs = performance.now();
    const agent = new Child(command, dir);
    await agent.line("Ready");
    readyMs.push(performance.now() - startedMs);
    const idle = start < starts ? undefined : await measureIdle(agent.pid, idleMs);
    await agent.stop();
    if (idle === undefined) continue;
    await ollama.child.stop();
    return { readyMs: median(readyMs), ...idle };
  }
}

async function measureIdle(pid: number, idleMs: number): Promise<Omit<AgentCost, "readyMs">> {
  await Bun.sleep(SETTLE_MS);
  const before = { cpuMs: cpuMs(pid), atMs: performance.now() };
  await Bun.sleep(idleMs);
  const spentMs = cpuMs(pid) - before.cpuMs;
  return { residentMb: residentMb(pid), cpuPercent: (100 * spentMs) / (performance.now() - before.atMs) };
}

/** Of all its threads, in ms: /proc/<pid>/stat would count in steps of 10. */
function cpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`).map((id) => `/proc/${pid}/task/${id}/schedstat`);
  return threads.reduce((sum, path) => sum + Number(readFileSync(path, "utf8").split(" ")[0]) / 1e6, 0);
}
