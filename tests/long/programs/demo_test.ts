// `npm start`: what it prints in a terminal, and what the box that it starts reports.
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { AgentsDocument } from "#src/documents/agents.ts";
import { JobDocument, JobsDocument } from "#src/documents/jobs.ts";
import { until } from "#tests/support/until.ts";
import { ROOT } from "../../../scripts/binaries.ts";

let printed = "";
const decoder = new TextDecoder();
const demo = Bun.spawn([process.execPath, join(ROOT, "scripts/demo.ts")], {
  cwd: ROOT,
  env: { ...process.env, TERM: "dumb", NO_COLOR: "1" },
  terminal: {
    cols: 400,
    rows: 50,
    data: (_, bytes) => void (printed += decoder.decode(bytes, { stream: true })),
  },
});
afterAll(async () => {
  demo.kill("SIGINT");
  await demo.exited;
});

/** What it has printed so, once it has. */
async function line(pattern: RegExp): Promise<readonly string[]> {
  await until(() => pattern.test(printed), 60_000);
  return pattern.exec(printed) ?? [""];
}

async function api(path: string, body?: object): Promise<unknown> {
  const [, url = "", token = ""] = await line(/export URL=(\S+) TOKEN=(\S+)/);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const init = body === undefined ? { headers } : { headers, method: "POST", body: JSON.stringify(body) };
  return await (await fetch(`${url}${path}`, init)).json();
}

test("npm start shows the free disk of its box", async () => {
  const { agents } = AgentsDocument.parse(await api("/v1/agents"));
  expect(agents.map(({ disk }) => (disk?.free_bytes ?? 0) > 0)).toEqual([true]);
});

test("npm start names the logs of server and agent", async () => {
  const [, files = ""] = await line(/tail -F (\S+ \S+)\r?\n/);
  const texts = await Promise.all(files.split(" ").map(async (path) => await Bun.file(path).text()));
  expect(texts.map((text) => /"msg":"(Listening|Ready)"/.exec(text)?.[1])).toEqual(["Listening", "Ready"]);
});

test("the box of npm start can pull a model of the catalog", async () => {
  const { jobs } = JobsDocument.parse(
    await api("/v1/jobs", { kind: "pull", model: "nomic-embed-text", agents: ["gpu-1"] }),
  );
  const job = JobDocument.parse(await api(`/v1/jobs/${jobs[0]?.id}?wait=30`));
  expect([job.state, job.error]).toEqual(["succeeded", null]);
});
