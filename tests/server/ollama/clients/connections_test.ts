// A pull whose client is killed, and connections that a proxy would cut for their silence. A client is a process of
// its own here, over real sockets.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { type HttpServer, until } from "#tests/process/site/site.ts";
import { BOX, ClientSite } from "./site/client_site.ts";
import { LARGE } from "./site/models.ts";

/** Proxies cut after 60 s, and some after 30. */
const SILENT_MS = 20_000;
const BYTES = 16_000_000;
/** Prints each line of the stream. */
const CLIENT = `
const [url, token, model] = process.argv.slice(1);
const response = await fetch(url, { method: "POST", headers: { authorization: "Bearer " + token }, body: JSON.stringify({ model }) });
for await (const chunk of response.body) process.stdout.write(chunk);
`;

const Models = z.object({ models: z.array(z.object({ name: z.string() })) });
const Jobs = z.object({ jobs: z.array(z.object({ state: z.string() })) });

let site: ClientSite;
/** On the same share. */
let withCancel: HttpServer;

beforeAll(async () => {
  site = await ClientSite.open();
  withCancel = await site.anotherServer(["--cancel-on-disconnect"]);
});
afterEach(async () => {
  site.ollama.faults.pull = null;
  const init = { method: "DELETE", headers: site.bearer(), body: JSON.stringify({ model: LARGE.name }) };
  await fetch(`${site.address()}/api/delete`, init);
});
afterAll(async () => await site.close());

function startClient({ url, tokens }: HttpServer): Bun.Subprocess<"ignore", "pipe", "inherit"> {
  const request = [`${url}/agents/${BOX}/api/pull`, tokens.gp, LARGE.name];
  return Bun.spawn([process.execPath, "-e", CLIENT, ...request], { stdio: ["ignore", "pipe", "inherit"] });
}

/** Kills a client once it was shown 30 % of the model. @returns the share that it had seen */
async function killAt30Percent(server: HttpServer): Promise<number> {
  const client = startClient(server);
  let rest = "";
  for await (const chunk of client.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${chunk}`.split("\n");
    rest = lines.pop() ?? "";
    const { completed = 0 } = JSON.parse(lines.at(-1) ?? "{}");
    if (completed < 0.3 * BYTES) continue;
    client.kill("SIGKILL");
    await client.exited;
    return completed / BYTES;
  }
  return expect.unreachable();
}

async function models(): Promise<readonly string[]> {
  const response = await fetch(`${site.address()}/api/tags`, { headers: site.bearer() });
  return Models.parse(await response.json()).models.map(({ name }) => name);
}

async function newestJob(): Promise<{ readonly state: string }> {
  const { answer } = await site.server.call("GET", "/v1/jobs?sort=-created_at&limit=1");
  const [job] = Jobs.parse(answer).jobs;
  return job ?? expect.unreachable();
}

describe("a client that is killed at 30 %", () => {
  test("leaves its pull to the box, which completes it", async () => {
    const share = await killAt30Percent(site.server);
    expect(share).toBeLessThan(1);
    expect(site.ollama.counters.openPulls).toBe(1);
    await until(async () => (await models()).includes(LARGE.name), "the model is there");
  });

  test("ends its pull with --cancel-on-disconnect", async () => {
    const share = await killAt30Percent(withCancel);
    expect(share).toBeLessThan(1);
    await until(() => site.ollama.counters.openPulls === 0, "the pull has ended");
    expect(await models()).not.toContain(LARGE.name);
    await until(async () => (await newestJob()).state === "cancelled", "the job is cancelled");
  });
});

/** The longest time without a byte, in ms, while the registry sends nothing for a while. */
async function longestSilence(stream: boolean, stalledMs: number): Promise<number> {
  site.ollama.faults.pull = { afterBytes: 0, kind: "stall" };
  setTimeout(() => {
    site.ollama.faults.pull = null;
  }, stalledMs);
  const body = JSON.stringify({ model: LARGE.name, stream });
  const startedMs = performance.now();
  let [lastMs, longestMs] = [startedMs, 0];
  const note = (): void => {
    longestMs = Math.max(longestMs, performance.now() - lastMs);
    lastMs = performance.now();
  };
  const init = { method: "POST", headers: site.bearer(), body, timeout: false };
  const response = await fetch(`${site.address()}/api/pull`, init);
  note();
  let text = "";
  for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    note();
    text += chunk;
  }
  expect(JSON.parse(text.trim().split("\n").at(-1) ?? "")).toEqual({ status: "success" });
  expect(performance.now() - startedMs).toBeGreaterThan(stalledMs);
  return longestMs;
}

describe("a proxy that cuts silent connections", () => {
  test("sees no silence in a stream", async () => {
    const longestMs = await longestSilence(true, 25_000);
    process.stdout.write(`  the longest silence of a stream: ${Math.round(longestMs)} ms\n`);
    expect(longestMs).toBeLessThan(SILENT_MS);
  });

  test("sees little silence in a response that is one object", async () => {
    const longestMs = await longestSilence(false, 40_000);
    process.stdout.write(`  the longest silence of one object: ${Math.round(longestMs)} ms\n`);
    expect(longestMs).toBeLessThan(SILENT_MS + 15_000);
  });
});
