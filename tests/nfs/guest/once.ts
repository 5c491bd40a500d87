// The check after a share was away under load: every command has its answer, and every change was made once.
import { expect } from "bun:test";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { type Running, until } from "#tests/process/site/site.ts";
import { type Ended, lostOf, modelsOf, type requestsOf, runIds } from "./load.ts";
import type { NetworkSite } from "./site.ts";

/** A share under load, with its agent. */
interface Loaded {
  readonly site: NetworkSite;
  readonly ollama: SimulatedOllama;
  readonly agent: Running;
}

/** None is lost, and each change was made once: what was pulled is there, what was deleted is not, and no command is left. */
export async function expectOnce(
  { site, ollama, agent }: Loaded,
  requests: ReturnType<typeof requestsOf>,
  ended: readonly Ended[],
): Promise<void> {
  expect(lostOf(ended)).toEqual([]);
  const ids = runIds(agent);
  expect(ids.toSorted()).toEqual([...new Set(ids)].toSorted());
  const names = modelsOf(requests, "pull").map(({ name }) => name);
  await until(() => ollama.installed().length === names.length, "all pulls are done", 60_000);
  expect(ollama.installed().toSorted()).toEqual(names.toSorted());
  await until(() => site.list("gpu_commands/gpu-1").length === 0, "no command is left", 30_000);
}
