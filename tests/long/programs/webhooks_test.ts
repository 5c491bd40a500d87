// gpu-server as a compiled program with webhooks: killed in between, with a receiver that comes and goes, and its commands.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { JobsDocument } from "#src/documents/jobs.ts";
import { DeliveriesDocument, WebhookEvent } from "#src/server/webhooks/documents.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";
import { cachedBinary } from "../../../scripts/binaries.ts";

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

let site: ProcessSite;
let received: { id: string; event: WebhookEvent }[];
let receiver: Bun.Server<undefined> | null;
let port: number;
let args: string[];

beforeEach(() => {
  site = new ProcessSite();
  received = [];
  receiver = null;
  listen(0);
  const secretFile = join(site.dir, "webhook.secret");
  writeFileSync(secretFile, `${SECRET}\n`);
  chmodSync(secretFile, 0o600);
  args = ["--webhook", `http://127.0.0.1:${port}/hooks?key=k`, "--webhook-secret-file", secretFile];
});
afterEach(async () => {
  await receiver?.stop(true);
  await site.close();
});

function listen(at: number): void {
  receiver = Bun.serve({
    hostname: "127.0.0.1",
    port: at,
    fetch: async (request) => {
      const event = new Webhook(SECRET).verify(await request.text(), Object.fromEntries(request.headers));
      received.push({ id: request.headers.get("webhook-id") ?? "", event: WebhookEvent.parse(event) });
      return new Response(null, { status: 204 });
    },
  });
  port = receiver.port ?? 0;
}

async function leave(): Promise<void> {
  await receiver?.stop(true);
  receiver = null;
}

function ended(): string[] {
  return received.flatMap(({ event }) => (event.type === "job.ended" ? [event.data.model] : []));
}

/** Once the server sees the agent. @returns the job's id */
async function pull(server: HttpServer, model: string): Promise<string> {
  return await until(async () => {
    const { status, answer } = await server.call("POST", "/v1/jobs", { kind: "pull", model, agents: ["gpu-1"] });
    return status === 202 && (JobsDocument.parse(answer).jobs[0]?.id ?? false);
  }, `the pull of ${model} is accepted`);
}

async function waitFor(server: HttpServer, id: string): Promise<void> {
  const state = async () => (await server.call("GET", `/v1/jobs/${id}?wait=10`)).answer["state"];
  await until(async () => (await state()) === "succeeded", "the pull has ended");
}

test("each end arrives once, over kills of the server, a receiver that is away, and for what ended meanwhile", async () => {
  const program = await cachedBinary("gpu-server");
  const catalog = ["a", "b", "c", "d"].map((name, index) => ({ name: `${name}:1b`, layers: [1_000, index + 1] }));
  const ollama = await site.ollama({ catalog });
  await site.agent("gpu-1", ollama.url);
  let server = await site.server(args, program);
  const started = await server.process.logged("Events are sent to webhooks");
  expect(started["webhooks"]).toEqual([`http://127.0.0.1:${port}`]);
  await pull(server, "a:1b");
  await until(() => ended().includes("a:1b"), "the first end is there");

  await leave();
  await waitFor(server, await pull(server, "b:1b"));
  await server.process.logged("Webhook http://127.0.0.1");
  await server.process.stop("SIGKILL");
  await site.gpuctl("pull", "c:1b", "--agent", "gpu-1");
  listen(port);
  server = await site.restart(server, program, args);
  await until(() => ended().length >= 3, "what ended meanwhile is there");
  await pull(server, "d:1b");
  await until(() => ended().includes("d:1b"), "the last end is there");
  expect(ended().toSorted()).toEqual(["a:1b", "b:1b", "c:1b", "d:1b"]);
  expect(new Set(received.map(({ id }) => id)).size).toBe(4);
  await until(async () => (await deliveries(server)).every(({ state }) => state === "delivered"), "all is recorded");
  expect(server.process.log).not.toContain("key=k");
});

async function deliveries(server: HttpServer) {
  const { answer } = await server.call("GET", "/v1/webhooks/deliveries");
  return DeliveriesDocument.parse(answer).deliveries;
}

test("the commands send a test event, and show targets and deliveries", async () => {
  const program = await cachedBinary("gpu-server");
  const stateDir = join(site.dir, "state");
  const run = async (...words: string[]) =>
    await site.run(program, ["--state-dir", stateDir, ...args, "webhooks", ...words]);
  const tested = await run("test");
  expect([tested.status, tested.stderr]).toEqual([0, ""]);
  expect(tested.stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+ {2}[0-9a-f]{12} {2}took it: 204\n$/);
  expect(received.map(({ event }) => event.type)).toEqual(["webhook.test"]);
  await leave();
  const failed = await run("test", "--json");
  expect([failed.status, JSON.parse(failed.stdout)]).toMatchObject([69, { targets: [{ status: null }] }]);
  expect(failed.stderr).toContain("1 of 1 webhooks did not take the test event");
  expect((await run("list")).stdout).toContain("No webhooks");
  expect((await run("deliveries")).stdout).toBe("No deliveries\n");
  const without = await site.run(program, ["--state-dir", stateDir, "webhooks", "test"]);
  expect([without.status, without.stderr]).toEqual([64, expect.stringContaining("No --webhook is given")]);
});
