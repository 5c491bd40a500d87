// One verb of version 2, sent again and again to an agent that dies of it each time, at the next point.
import { type ProcessSite, until } from "#tests/process/site/site.ts";
import { openShareWire } from "./share_wire.ts";
import { AGENT, REPLY_TO, type Wire } from "./wire.ts";

export interface DyingVerb {
  readonly verb: string;
  readonly points: readonly string[];
  /** The other fields of an attempt's command. */
  readonly fields: (attempt: number) => object;
  readonly ollamaUrl: string;
  readonly agentArgs: readonly string[];
  /** By how much the agent's clock is ahead. */
  readonly aheadMs?: number;
  /** Called when the agent is dead, before the next one starts. */
  readonly afterDeath?: (attempt: number) => void;
}

const KILLED = 128 + 9;

/** `before:STEP` and `after:STEP` of each. */
export function pointsOf(steps: readonly string[]): readonly string[] {
  return steps.flatMap((step) => [`before:${step}`, `after:${step}`]);
}

/** @returns the answers, each of which was given once, and the wire; the last agent is alive */
export async function killedAtEach(
  site: ProcessSite,
  { verb, points, fields, ollamaUrl, agentArgs, aheadMs = 0, afterDeath }: DyingVerb,
): Promise<{ readonly answers: readonly Record<string, unknown>[]; readonly wire: Wire }> {
  const wire = await openShareWire(site);
  const early: (string | null)[] = [];
  const idOf = (attempt: number): string => `${verb}_${attempt}`;
  for (const [attempt, point] of points.entries()) {
    const id = idOf(attempt);
    const agent = await site.crashingAgent(AGENT, ollamaUrl, { point, id, aheadMs }, agentArgs);
    await agent.logged("Ollama is reachable");
    const common = { command: verb, command_id: id, timestamp: "2026-11-30T20:00:00Z", version: 2, agent: AGENT };
    await wire.send(id, 2, JSON.stringify({ ...common, reply_to: REPLY_TO, ttl_ms: 60_000, ...fields(attempt) }));
    const status = await Promise.race([agent.exited(), Bun.sleep(15_000)]);
    if (status !== KILLED) throw new Error(`${verb} did not kill it at ${point}:\n${agent.log}`);
    early.push(await wire.answer(id, 2));
    afterDeath?.(attempt);
  }
  await site.crashingAgent(AGENT, ollamaUrl, { point: "never", id: "none", aheadMs }, agentArgs);
  const answers: Record<string, unknown>[] = [];
  for (const [attempt, point] of points.entries()) {
    const text = await until(async () => (await wire.answer(idOf(attempt), 2)) ?? undefined, `${point} is answered`);
    if (early[attempt] !== null && early[attempt] !== text) throw new Error(`${point}: answered twice, differently`);
    await until(async () => !(await wire.isThere(idOf(attempt), 2)), `the command of ${point} is removed`);
    answers.push(JSON.parse(text));
  }
  return { answers, wire };
}
