// A site that moves from a share to NATS box by box, with the real programs, while pulls run and a client sends commands.
import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { type HttpServer, ProcessSite, type Running, until } from "#tests/process/site/site.ts";
import { EventListener } from "#tests/support/event_listener.ts";
import { NatsServer } from "#tests/support/nats/nats_server.ts";

const BOXES = ["gpu-1", "gpu-2", "gpu-3", "gpu-4"];
/** A pull of it lasts longer than the move of a box. */
const BIG = { name: "big:latest", layers: [60_000_000] };
const BYTES_PER_SECOND = 3_000_000;
const SMALL = 2_000;

/** Its commands are those of this test. */
const DOCUMENT = await Bun.file(join(import.meta.dir, "../../docs/nats.md")).text();

interface Box {
  readonly name: string;
  readonly ollama: SimulatedOllama;
  agent: Running;
}

/** A pull that a box accepted: its model was asked for until one did. */
interface Accepted {
  readonly box: string;
  readonly model: string;
  readonly job: string;
}

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function openSite() {
  const [site, nats] = [new ProcessSite(), await NatsServer.start()];
  closing.push(
    async () => await nats.stop(),
    async () => await site.close(),
  );
  const small = Array.from({ length: SMALL }, (_, number) => ({
    name: `s-${number}:latest`,
    layers: [1_000 + number],
  }));
  const boxes = await Promise.all(
    BOXES.map(async (name): Promise<Box> => {
      const ollama = await site.ollama({ catalog: [BIG, ...small], bytesPerSecond: BYTES_PER_SECOND });
      return { name, ollama, agent: await site.agent(name, ollama.url, ["--max-pulls", "8"]) };
    }),
  );
  const server = await site.server(["--transport", nats.url]);
  await until(async () => (await reasons(server)).length === boxes.length, "the server has all boxes");
  return { site, nats, boxes, server };
}

/** Why each box is not online; null: it is. */
async function reasons(server: HttpServer): Promise<readonly (string | null)[]> {
  const { answer } = await server.call("GET", "/v1/agents");
  const agents = Array.isArray(answer["agents"]) ? answer["agents"] : [];
  return agents.map(({ reason }) => reason);
}

/** Sends changing commands to one box after the other until it is stopped. */
class Client {
  readonly accepted: Accepted[] = [];
  readonly deleted: string[] = [];
  /** By code. */
  readonly refused: Record<string, number> = {};
  /** What no client can act on: a command whose outcome it does not learn, or one that ran although it was refused. */
  readonly faults: string[] = [];
  sent = 0;
  readonly #server: HttpServer;
  #isStopped = false;

  constructor(server: HttpServer) {
    this.#server = server;
  }

  stop(): void {
    this.#isStopped = true;
  }

  async run(boxes: readonly string[], models: Iterator<number>): Promise<void> {
    for (let round = 0; !this.#isStopped; round++) {
      const box = boxes[round % boxes.length] ?? "";
      const model = `s-${models.next().value}:latest`;
      const { answer } = await this.#untilTaken(async () => {
        const body = { kind: "pull", model, agents: [box] };
        return await this.#server.call("POST", "/v1/jobs", body);
      });
      const [job] = Array.isArray(answer["jobs"]) ? answer["jobs"] : [];
      if (typeof job?.id === "string") this.accepted.push({ box, model, job: job.id });
      if (round % 3 > 0) continue;
      const { answer: waited } = await this.#server.call("GET", `/v1/jobs/${job?.id}?wait=30`);
      if (waited["state"] !== "succeeded") continue;
      const deletion = await this.#untilTaken(
        async () => await this.#server.call("DELETE", `/v1/agents/${box}/models/${model}`),
      );
      if (deletion.status === 200) this.deleted.push(`${box} ${model}`);
      else this.faults.push(`delete of ${model} on ${box}: ${JSON.stringify(deletion)}`);
    }
  }

  /** A command that was refused because its box is away was not run: a client sends it again. */
  async #untilTaken(send: () => ReturnType<HttpServer["call"]>): ReturnType<HttpServer["call"]> {
    for (;;) {
      this.sent += 1;
      const outcome = await send();
      const code = codeOf(outcome);
      if (code === null) return outcome;
      this.refused[code] = (this.refused[code] ?? 0) + 1;
      if (code !== "unavailable") {
        this.faults.push(JSON.stringify(outcome));
        return outcome;
      }
      await Bun.sleep(100);
    }
  }
}

/** Of a refusal, by gpu-server or by the box; null: it was done. */
function codeOf({ status, answer }: Awaited<ReturnType<HttpServer["call"]>>): string | null {
  if (status >= 400) return String(answer["code"]);
  const [job] = Array.isArray(answer["jobs"]) ? answer["jobs"] : [];
  return job?.state === "failed" ? String(job.code) : null;
}

/** The ids of the ends that the listener has of pulls that ran: one that was refused has an end too. */
function endsOf({ events }: EventListener): readonly string[] {
  const ends = events.filter(({ event, data }) => event === "ended" && data.state !== "failed");
  return ends.map(({ data }) => data.id);
}

test("a site moves from a share to NATS while pulls run: no command is lost or runs twice, and every end is seen once", async () => {
  const { site, nats, boxes, server } = await openSite();
  const listener = new EventListener();
  await listener.connect(`${server.url}/v1/events`, server.tokens.gp);
  closing.push(async () => await listener.cut());
  const big = await server.call("POST", "/v1/jobs", { kind: "pull", model: BIG.name, agents: BOXES });
  const bigJobs: { id: string }[] = Array.isArray(big.answer["jobs"]) ? big.answer["jobs"] : [];
  expect(bigJobs.length).toBe(BOXES.length);

  const client = new Client(server);
  const models = Array.from({ length: SMALL }, (_, number) => number).values();
  const sending = Promise.all([0, 1, 2].map(async () => await client.run(BOXES, models)));
  const awayMs: number[] = [];
  for (const box of boxes) {
    await Bun.sleep(1_500);
    const leftAtMs = performance.now();
    const drained = await site.run("agent.ts", ["drain", "--state-dir", site.stateDirOf(box.name)]);
    expect([drained.status, drained.stderr, await box.agent.exited()]).toEqual([0, "", 0]);
    expect(DOCUMENT).toContain(`   ${drained.stdout}`);
    box.agent = site.startAgent(box.name, box.ollama.url, ["--max-pulls", "8"], { GPU_COURIER_TRANSPORT: nats.url });
    await box.agent.logged("Ready");
    await until(async () => (await reasons(server)).every((reason) => reason === null), "every box is online");
    awayMs.push(Math.round(performance.now() - leftAtMs));
  }
  await Bun.sleep(2_000);
  client.stop();
  await sending;

  const jobs = [...bigJobs.map(({ id }) => id), ...client.accepted.map(({ job }) => job)];
  await until(() => new Set(endsOf(listener)).size >= jobs.length, "every end was seen", 60_000);
  const ends = endsOf(listener);
  process.stdout.write(
    `moved ${boxes.length} boxes, away for ${awayMs.join(", ")} ms each; ${client.sent} commands sent, ` +
      `${client.accepted.length + client.deleted.length} done, refused while away: ${JSON.stringify(client.refused)}; ` +
      `${ends.length} ends of ${jobs.length} jobs, ${ends.length - new Set(ends).size} of them twice\n`,
  );
  expect([client.faults, Object.keys(client.refused).filter((code) => code !== "unavailable")]).toEqual([[], []]);
  // Nothing twice: each model has one job, and Ollama has what was not deleted again.
  expect(ends.toSorted()).toEqual(jobs.toSorted());
  for (const { name, ollama } of boxes) {
    const own = client.accepted.filter(({ box }) => box === name).map(({ model }) => model);
    const kept = own.filter((model) => !client.deleted.includes(`${name} ${model}`));
    expect(ollama.installed().toSorted()).toEqual([BIG.name, ...kept].toSorted());
  }
  expect(client.accepted.length).toBeGreaterThan(50);

  // gpuctl sees both transports, and one that is away takes nothing from the other.
  const listed = await site.gpuctl("agents", "--transport", nats.url, "--json");
  expect(JSON.parse(listed.stdout).agents.map(({ reason }: { reason: string | null }) => reason)).toEqual([
    null,
    null,
    null,
    null,
  ]);
  await nats.kill();
  const half = await site.gpuctl("agents", "--transport", nats.url);
  expect([half.status, half.stderr]).toEqual([0, expect.stringContaining("Not included: nats at ")]);
  // What they left on the share does not stand for them.
  expect(half.stdout.match(/older than one that was seen before/g)?.length).toBe(BOXES.length);
  expect(site.list(join("gpu_commands", "gpu-1"))).toEqual([]);
}, 240_000);
