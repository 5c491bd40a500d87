// Pings from one client to the agent on another.
import { expect } from "bun:test";
import type { NetworkSite } from "./site.ts";

interface Round {
  readonly agents: readonly { readonly agent: string; readonly rtt_ms: number | null }[];
}

/**
 * One gpuctl on c2 that pings again and again; an answer that is lost fails the test.
 * @param args of `gpuctl ping`
 * @returns the round trips in ms, in order of time
 */
export async function ping(site: NetworkSite, ...args: readonly string[]): Promise<number[]> {
  const { stdout, stderr } = await site.gpuctl("c2", "ping", "--json", ...args);
  expect(stderr).toBe("");
  const rounds: Round[] = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const answers = rounds.flatMap(({ agents }) => agents);
  expect(answers.filter(({ rtt_ms }) => rtt_ms === null)).toEqual([]);
  return answers.map(({ rtt_ms }) => rtt_ms ?? 0);
}
