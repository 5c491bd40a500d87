// What a client of Ollama waits for the list of a box behind gpu-server, beside the list from that box's Ollama itself.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Child } from "../children.ts";
import { startServer } from "./bench_server.ts";
import { Client } from "./fleet/client.ts";
import { median, percentile, roundTrips, type Send } from "./measure.ts";
import type { Measure } from "./report.ts";
import { AGENT, agentCommand, startOllama } from "./subject.ts";

export interface ClientEffort {
  readonly rounds: number;
  readonly requests: number;
}

const WARM_UP = 100;
const LISTED_WITHIN_MS = 20_000;
const POLL_MS = 100;
/** A real Ollama reads each manifest again at each request; the simulated one has them in memory. */
const REAL_OLLAMA = process.env["OLLAMA_TEST_URL"];

/** @param dir is made, and stays */
export async function measureClients(dir: string, effort: ClientEffort): Promise<Measure[]> {
  if (REAL_OLLAMA !== undefined) return await measureList(join(dir, "real"), { url: REAL_OLLAMA }, effort);
  const measures: Measure[] = [];
  for (const models of [3, 500]) {
    const own = join(dir, String(models));
    mkdirSync(own, { recursive: true });
    const ollama = await startOllama(own, models);
    measures.push(...(await measureList(own, { url: ollama.url }, effort)));
    await ollama.child.stop();
  }
  return measures;
}

async function measureList(dir: string, { url }: { readonly url: string }, effort: ClientEffort): Promise<Measure[]> {
  mkdirSync(join(dir, "share"), { recursive: true });
  const agent = new Child(await agentCommand(dir, url), dir);
  await agent.line("Ready");
  const server = await startServer(dir, ["--share", join(dir, "share")]);
  const served = new Client(server.url, server.token);
  const direct = new Client(url, "none");
  const count = await untilListed(direct, served);
  const rounds = await compare(
    async () => await direct.fetch("/api/tags"),
    async () => await served.fetch(`/agents/${AGENT}/api/tags`),
    effort,
  );
  await Promise.all([server.child.stop(), agent.stop()]);
  return ([0.5, 0.99] as const).map((share) => ({
    name: `GET /agents/ONE/api/tags, ${count} models, beside ${REAL_OLLAMA === undefined ? "the simulated" : "a real"} Ollama's, p${share * 100}`,
    ...against(rounds, share),
    ...(share === 0.5 ? { target: TARGET } : {}),
  }));
}

/** On an idle machine 1 ms more; where others are busy too, five times that. */
const TARGET = { of: "ratio", most: 3, orMoreBy: 5 } as const;

interface Round {
  readonly direct: readonly number[];
  readonly served: readonly number[];
}

async function compare(direct: Send, served: Send, { rounds, requests }: ClientEffort): Promise<readonly Round[]> {
  for (const send of [direct, served]) await roundTrips(send, WARM_UP);
  const measured: Round[] = [];
  for (let round = 0; round < rounds; round++)
    measured.push({ direct: await roundTrips(direct, requests), served: await roundTrips(served, requests) });
  return measured;
}

function against(rounds: readonly Round[], share: number): Pick<Measure, "unit" | "value" | "floor" | "ratio"> {
  const value = percentile(
    rounds.flatMap(({ served }) => served),
    share,
  );
  const floor = percentile(
    rounds.flatMap(({ direct }) => direct),
    share,
  );
  const ratios = rounds.map(({ direct, served }) => percentile(served, share) / percentile(direct, share));
  return { unit: "ms", value, floor, ratio: median(ratios) };
}

/** @returns how many models both list */
async function untilListed(direct: Client, served: Client): Promise<number> {
  const countOf = async (client: Client, path: string): Promise<number> => {
    const { models } = await client.json(path).catch(() => ({ models: [] }));
    return Array.isArray(models) ? models.length : 0;
  };
  const wanted = await countOf(direct, "/api/tags");
  for (const deadlineMs = performance.now() + LISTED_WITHIN_MS; ; await Bun.sleep(POLL_MS)) {
    if ((await countOf(served, `/agents/${AGENT}/api/tags`)) === wanted) return wanted;
    if (performance.now() > deadlineMs) throw new Error("gpu-server does not list the models of its agent");
  }
}
