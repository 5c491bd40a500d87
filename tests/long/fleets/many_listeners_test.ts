// 300 agents whose jobs progress twice a second, and 200 listeners to the events of gpu-server, of which some reconnect.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isoTime } from "#src/base/clock.ts";
import { type Job, newPull, State } from "#src/protocol.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";
import { EventListener } from "#tests/support/event_listener.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";

const SAMPLE = State.parse(sampleDocument("v2/state.json"));
const AGENTS = 300;
const LISTENERS = 200;
const RECONNECTING_EACH = 10;
const SECONDS = 20;
/** Each job has so many steps. */
const STEPS = 12;
const STEP_MS = 500;
/** The target is half a core on an idle machine; this one is shared with the agents and the listeners. */
const CORES_AT_MOST = 1;
const TICKS_PER_S = 100;

let site: ProcessSite;
let server: HttpServer;
beforeAll(async () => {
  site = new ProcessSite();
  mkdirSync(join(site.share, "gpu_status", ".tmp"), { recursive: true });
  server = await site.server();
}, 60_000);
afterAll(async () => await site.close());

/** A simulated agent: only its document. */
class Puller {
  readonly ended: Job[] = [];
  readonly #agent: string;
  #job: Job;
  #sequence = 0;

  constructor(index: number) {
    this.#agent = `gpu-${index}`;
    this.#job = this.#nextJob();
    this.#job.completed_bytes = index % STEPS;
  }

  step(): void {
    this.#job.completed_bytes += 1;
    if (this.#job.completed_bytes >= STEPS) this.#end();
    this.#publish();
  }

  #end(): void {
    this.ended.push({ ...this.#job, state: "succeeded", ended_at: isoTime(Date.now()) });
    this.#job = this.#nextJob();
  }

  #nextJob(): Job {
    const job = newPull(Bun.randomUUIDv7(), this.#agent, "phi4:latest");
    return { ...job, state: "running", total_bytes: STEPS };
  }

  #publish(): void {
    this.#sequence += 1;
    const state = {
      ...SAMPLE,
      agent: this.#agent,
      sequence: this.#sequence,
      jobs: [...this.ended.slice(-20), this.#job],
    };
    const temporary = join(site.share, "gpu_status", ".tmp", this.#agent);
    writeFileSync(temporary, JSON.stringify({ ...state, job_count: state.jobs.length }));
    renameSync(temporary, join(site.share, "gpu_status", `${this.#agent}_status.json`));
  }
}

/** All take a step in each period, spread over it. */
async function run(pullers: readonly Puller[], periods: number): Promise<void> {
  const startedMs = performance.now();
  for (let taken = 0; taken < periods * pullers.length; await Bun.sleep(10)) {
    const due = Math.min(periods * pullers.length, ((performance.now() - startedMs) / STEP_MS) * pullers.length);
    for (; taken < due; taken++) pullers[taken % pullers.length]?.step();
  }
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

function hasAll(listener: EventListener, ends: readonly string[]): boolean {
  const got = new Set(listener.ends);
  return ends.every((id) => got.has(id));
}

test("every listener gets every end exactly once, and the server has time to spare", async () => {
  const pullers = Array.from({ length: AGENTS }, (_, index) => new Puller(index));
  await run(pullers, 1);
  const url = `${server.url}/v1/events`;
  const token = server.tokens.gp;
  const listeners = await Promise.all(
    Array.from({ length: LISTENERS }, async () => {
      const listener = new EventListener("ended");
      await listener.connect(url, token);
      return listener;
    }),
  );
  await until(() => listeners.every(({ lastId }) => lastId !== undefined), "all listen");
  const before = pullers.map(({ ended }) => ended.length);
  const [cpuBefore, startedMs] = [cpuSeconds(server.process.pid), performance.now()];
  const running = run(pullers, (SECONDS * 1000) / STEP_MS);
  for (let round = 0; round < 5; round++) {
    await Bun.sleep((SECONDS * 1000) / 6);
    const leaving = listeners.filter((_, index) => index % RECONNECTING_EACH === round);
    await Promise.all(leaving.map(async (listener) => await listener.cut()));
    await Bun.sleep(300);
    await Promise.all(leaving.map(async (listener) => await listener.connect(url, token)));
  }
  await running;
  const cores = ((cpuSeconds(server.process.pid) - cpuBefore) * 1000) / (performance.now() - startedMs);
  const ends = pullers.flatMap(({ ended }, index) => ended.slice(before[index]).map(({ id }) => id ?? ""));
  await until(() => listeners.every((listener) => hasAll(listener, ends)), "all have all ends", 90_000);
  process.stdout.write(
    `  ${AGENTS} agents, ${LISTENERS} listeners, ${ends.length} ends each in ${SECONDS} s: server at ${cores.toFixed(2)} of a core\n`,
  );
  // The server may see the last ends of before only now.
  const all = new Set(pullers.flatMap(({ ended }) => ended.map(({ id }) => id ?? "")));
  for (const listener of listeners) {
    expect(new Set(listener.ends).size).toBe(listener.ends.length);
    expect(listener.ends.filter((id) => !all.has(id))).toEqual([]);
  }
  expect(cores).toBeLessThan(CORES_AT_MOST);
}, 240_000);
