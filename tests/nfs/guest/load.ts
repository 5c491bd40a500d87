// Commands as a careful caller sends them through gpu-server, and what became of each.
import type { HttpServer, Running } from "#tests/process/site/site.ts";

interface Request {
  readonly verb: "list" | "pull" | "delete";
  readonly model: string;
}

export interface Ended {
  readonly request: Request;
  /** Of the last answer. */
  readonly status: number;
  /** The statuses after which it was asked again. */
  readonly again: readonly number[];
  readonly tookMs: number;
}

/** As many requests, the verbs in turn, each for a model of its own. */
export function requestsOf(count: number, verbs: readonly Request["verb"][]): readonly Request[] {
  return Array.from({ length: count }, (_, index) => {
    const verb = verbs[index % verbs.length] ?? "list";
    return { verb, model: `${verb}-${index}` };
  });
}

/** The models of all requests of a verb, as the simulated Ollama has them installed or in its registry. */
export function modelsOf(requests: readonly Request[], verb: Request["verb"]): { name: string; layers: number[] }[] {
  const ours = requests.filter((request) => request.verb === verb);
  return ours.map(({ model }) => ({ name: `${model}:latest`, layers: [200_000] }));
}

/** Asks again until the time is over, after `unavailable` and after other statuses that mean "not done". */
export async function ask(
  server: HttpServer,
  request: Request,
  withinMs: number,
  notDone: readonly number[] = [503],
): Promise<Ended> {
  const startedMs = performance.now();
  const again: number[] = [];
  for (;;) {
    const status = await send(server, request);
    const tookMs = performance.now() - startedMs;
    if (!notDone.includes(status) || tookMs > withinMs) return { request, status, again, tookMs };
    again.push(status);
    await Bun.sleep(1_000);
  }
}

/** Those without an answer. A delete that is asked for again may find that it was done: that is an answer too. */
export function lostOf(ended: readonly Ended[]): readonly Ended[] {
  return ended.filter(({ request, status }) => status !== 200 && !(request.verb === "delete" && status === 404));
}

/** The ids of changing commands that the agent says it has run, an id as often as it was run. */
export function runIds(agent: Running): string[] {
  const lines = agent.log
    .split("\n")
    .filter((line) => line.includes('"Command done"') || line.includes('"Command failed"'));
  return lines.map((line) => JSON.parse(line)).flatMap(({ id, command: verb }) => (verb === "list_models" ? [] : [id]));
}

async function send(server: HttpServer, { verb, model }: Request): Promise<number> {
  const [method, path, body] = (
    {
      list: ["GET", "/api/config/models?fresh=true&agent=gpu-1", undefined],
      pull: ["POST", "/api/config/pull-model?agent=gpu-1", { model_name: model }],
      delete: ["DELETE", "/api/config/delete-model?agent=gpu-1", { model_name: model }],
    } as const
  )[verb];
  return (await server.call(method, path, body)).status;
}
