// Two gpu-servers with the same webhook: the one that sends is killed, and the other one goes on where it was.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "#tests/support/until.ts";
import { endAndBegin, SharingSite } from "./site.ts";

const JOBS = 40;
/** Of one server to one receiver. */
const AT_ONCE = 4;

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

test("a receiver gets every end, and after kill -9 of the sender at most what was on its way twice", async () => {
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
  const [killedMs, before] = [performance.now(), taken.length];
  await ending;
  await second.process.logged("This server sends the webhooks now");
  const afterMs = performance.now() - killedMs;
  await endJobs(20, JOBS);
  await until(() => new Set(taken).size >= JOBS);
  await Bun.sleep(200);
  const twice = taken.length - new Set(taken).size;
  process.stdout.write(
    `webhooks: ${JOBS} ends, sender killed after ${before}, the next one sends ${(afterMs / 1000).toFixed(1)} s later; ` +
      `${JOBS - new Set(taken).size} lost, ${twice} sent twice\n`,
  );
  expect(new Set(taken).size).toBe(JOBS);
  expect(twice).toBeLessThanOrEqual(AT_ONCE);
  expect(second.process).toBeDefined();
});
