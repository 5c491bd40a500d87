// Two gpu-servers with the same webhook: the one that sends is killed, and the other one goes on where it was.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { until } from "#tests/support/until.ts";
import { endAndBegin, SharingSite } from "./site.ts";

const JOBS = 40;

let site: SharingSite;
let receiver: Bun.Server<undefined>;
/** The ids of all attempts that were taken, in order. */
const taken: string[] = [];
let answerAfterMs = 0;

beforeAll(async () => {
  site = await SharingSite.open();
  receiver = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      await request.text();
      taken.push(request.headers.get("webhook-id") ?? "");
      await Bun.sleep(answerAfterMs);
      return new Response(null, { status: 204 });
    },
  });
});
afterAll(async () => {
  await receiver.stop(true);
  await site.close();
});

/** The events that are done on NATS. */
async function acknowledged(): Promise<ReadonlySet<string>> {
  const nats = await connect({ servers: site.nats.url });
  const { streams } = await jetstreamManager(nats);
  const { state } = await streams.info("gpu_courier_webhooks", { subjects_filter: "gpu_courier.webhooks.done.>" });
  await nats.close();
  return new Set(Object.keys(state.subjects ?? {}).map((subject) => subject.split(".").at(-1) ?? ""));
}

test("a receiver gets every end, and after kill -9 of the sender none twice that was acknowledged on NATS", async () => {
  const secret = join(site.stateDirOf("first"), "webhook.secret");
  writeFileSync(secret, `whsec_${Buffer.alloc(32, 7).toString("base64")}\n`, { mode: 0o600 });
  const args = ["--webhook", `http://127.0.0.1:${receiver.port}/hook`, "--webhook-secret-file", secret];
  const first = await site.server("first", args);
  await first.process.logged("This server sends the webhooks now");
  const second = await site.server("second", args);
  const agent = await site.agent("gpu-1");
  await endAndBegin(agent, "job-0");
  const endJobs = async (from: number, to: number): Promise<void> => {
    for (let number = from; number < to; number++) {
      await endAndBegin(agent, number + 1 < JOBS ? `job-${number + 1}` : null);
      await Bun.sleep(10);
    }
  };
  answerAfterMs = 30;
  const ending = endJobs(0, 20);
  await until(() => taken.length >= 10);
  await first.process.stop("SIGKILL");
  const [killedMs, before, done] = [performance.now(), taken.length, await acknowledged()];
  await ending;
  await second.process.logged("This server sends the webhooks now");
  const afterMs = performance.now() - killedMs;
  await endJobs(20, JOBS);
  await until(() => new Set(taken).size >= JOBS);
  await Bun.sleep(200);
  const twice = taken.filter((id, index) => taken.indexOf(id) < index);
  process.stdout.write(
    `webhooks: ${JOBS} ends, sender killed after ${before}, ${done.size} acknowledged; the next one sends ${(afterMs / 1000).toFixed(1)} s later; ` +
      `${JOBS - new Set(taken).size} lost, ${twice.length} sent twice\n`,
  );
  expect(new Set(taken).size).toBe(JOBS);
  expect(done.size).toBeGreaterThan(0);
  expect(twice.filter((id) => done.has(id))).toEqual([]);
});
