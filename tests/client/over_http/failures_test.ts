// What gpuctl prints, and ends with, when gpu-server refuses, is older, or is something else altogether.
import { describe, expect, test } from "bun:test";
import { ERROR_CODES } from "#src/base/errors.ts";
import { AnsweringServer, EARLIER_GPU_1, GPU_1, problem } from "./answering.ts";

const html = (status: number): Response =>
  new Response("<h1>Bad Gateway</h1>", { status, headers: { "content-type": "text/html" } });

/** A gpu-server that shows its agents, and answers everything else like this. */
const withAgents =
  (answer: () => Response) =>
  (_request: Request, { pathname }: URL): Response =>
    pathname === "/v1/agents" ? Response.json({ agents: [GPU_1] }) : answer();

async function list(answer: Parameters<typeof AnsweringServer.open>[0]) {
  await using server = await AnsweringServer.open(answer);
  const { status, stdout, stderr } = await server.run(["list"]);
  return { status, stdout, error: stderr.replaceAll(server.url, "URL").split("\n")[0] };
}

describe("a problem document", () => {
  test.each(Object.entries(ERROR_CODES).map(([code, { http, exit }]) => [code, http, exit] as const))(
    "of the code %s and status %i ends with the exit status of that code",
    async (code, http, exit) => {
      const { status, error } = await list(withAgents(() => problem(http, code)));
      expect([status, error]).toEqual([exit, "error: It did not work"]);
    },
  );

  test("names the agent that said it, and its hint", async () => {
    await using server = await AnsweringServer.open(() =>
      problem(507, "exhausted", { said_by: "gpu-1", hint: "Wait" }),
    );
    const { stderr } = await server.run(["list"]);
    expect(stderr).toBe("error: gpu-1 says: It did not work\n  gpu-1 says: Wait\n");
  });

  test("shows the hint that names commands of gpuctl, not routes", async () => {
    const hints = { hint: "GET /v1/jobs lists the jobs", gpuctl_hint: "gpuctl jobs lists the jobs" };
    await using server = await AnsweringServer.open(withAgents(() => problem(404, "not_found", hints)));
    expect((await server.run(["list"])).stderr).toBe("error: It did not work\n  gpuctl jobs lists the jobs\n");
  });

  test("cannot print what a terminal would obey, or without end", async () => {
    const detail = `\u001b]0;owned\u0007${"x".repeat(100_000)}`;
    const { error = "" } = await list(() => problem(503, "unavailable", { detail }));
    expect(error).not.toContain("\u001b");
    expect(error.length).toBeLessThan(2_100);
  });
});

describe("something other than gpu-server", () => {
  test.each([
    ["a page with status 200", () => html(200), 69, "/v1/agents is text/html"],
    ["a proxy's page with status 502", () => html(502), 69, "status 502 with text/html"],
    ["a login page of a proxy with status 401", () => html(401), 77, "status 401 with text/html"],
    ["another server's 404", () => html(404), 69, "status 404 with text/html"],
    [
      "a redirection",
      () => Response.redirect("https://login.example/", 302),
      69,
      "it redirects to https://login.example/",
    ],
    ["JSON of another form", () => Response.json({ agents: 7 }), 69, "/v1/agents is not the document it should be"],
    [
      "half a document",
      () => new Response('{"agents":[', { headers: { "content-type": "application/json" } }),
      69,
      "/v1/agents is not valid JSON",
    ],
  ])("is named: %s", async (_, answer, status, what) => {
    const found = await list(answer);
    expect([found.status, found.stdout]).toEqual([status, ""]);
    expect(found.error).toContain(`URL does not answer as gpu-server does: ${what}`);
  });

  test("cannot fill the memory with a response that does not end", async () => {
    let sent = 0;
    const chunk = new Uint8Array(1024 * 1024).fill(32);
    const body = (): ReadableStream =>
      new ReadableStream({
        pull: (controller) => {
          sent += 1;
          controller.enqueue(chunk);
        },
      });
    const { status, error } = await list(
      () => new Response(body(), { headers: { "content-type": "application/json" } }),
    );
    expect([status, error]).toEqual([69, expect.stringContaining("larger than 33554432 bytes")]);
    expect(sent).toBeLessThan(200);
  });

  test("cannot keep gpuctl busy with pages that do not end", async () => {
    const { status, error } = await list(() => Response.json({ agents: [], next: "again" }));
    expect([status, error]).toEqual([69, expect.stringContaining("/v1/agents never ends")]);
  });

  test("cannot fill the memory with large pages", async () => {
    const text = JSON.stringify({ agents: [], next: "again", filling: "x".repeat(30 * 1024 * 1024) });
    await using server = await AnsweringServer.open(
      () => new Response(text, { headers: { "content-type": "application/json" } }),
    );
    const { status, stderr } = await server.run(["list"]);
    expect([status, stderr]).toEqual([69, expect.stringContaining("/v1/agents is larger than 134217728 characters")]);
    expect(server.requests.length).toBe(5);
  });

  test("gets no token after a redirection", async () => {
    await using other = await AnsweringServer.open(() => Response.json({ agents: [] }));
    await using server = await AnsweringServer.open(() => Response.redirect(other.url, 307));
    await server.run(["agents"]);
    expect([server.authorizations, other.requests]).toEqual([["Bearer gc_secret"], []]);
  });
});

test("a path at which gpu-server has nothing is named as a wrong address", async () => {
  await using server = await AnsweringServer.open(() => problem(404, "not_found"));
  for (const argv of [["agents"], ["list"], ["rm", "phi4"]]) {
    const { status, stderr } = await server.run(argv, ["--server", `${server.url}/nope`]);
    expect([status, stderr]).toEqual([
      69,
      `error: ${server.url}/nope is not the address of gpu-server: it has no /v1/agents\n  Check the path in --server\n`,
    ]);
  }
  const { status, stdout } = await server.run(["doctor"], ["--server", `${server.url}/nope`]);
  expect([status, stdout]).toEqual([1, expect.stringContaining("/nope is not the address of gpu-server")]);
});

test("a gpu-server that shows no agent is not taken for a share", async () => {
  await using server = await AnsweringServer.open(() => Response.json({ agents: [] }));
  const { status, stderr } = await server.run(["agents"]);
  expect([status, stderr]).toEqual([
    0,
    `gpu-server at ${server.url} shows no agent\n  Start gpu-agent on a GPU machine that mounts the share of gpu-server\n`,
  ]);
});

describe("the hint of a gpu-server that is not reached", () => {
  test("is about the name that cannot be resolved", async () => {
    await using server = await AnsweringServer.open(() => Response.json({ agents: [] }));
    const { status, stderr } = await server.run(["list"], ["--server", "https://nosuch.invalid"]);
    expect([status, stderr]).toEqual([69, expect.stringContaining("its name cannot be resolved\n  Check the name in")]);
    expect(stderr).not.toContain("systemctl");
  });

  test("is about the port that speaks no TLS", async () => {
    await using server = await AnsweringServer.open(() => Response.json({ agents: [] }));
    const { status, stderr } = await server.run(["list"], ["--server", server.url.replace("http:", "https:")]);
    expect([status, stderr]).toEqual([69, expect.stringContaining("no TLS could be agreed on\n  Check the port in")]);
    expect(stderr).not.toContain("systemctl");
  });
});

test("a request that came too fast is sent again after the time that the server names", async () => {
  let refused = 2;
  await using server = await AnsweringServer.open(() => {
    if (refused-- > 0) return new Response(null, { status: 429, headers: { "retry-after": "0.01" } });
    return Response.json({ agents: [GPU_1] });
  });
  const { status, stdout } = await server.run(["agents"]);
  expect([status, stdout.includes("gpu-1"), server.requests.length]).toEqual([0, true, 3]);
});

test("a server that does not answer in time is an error, which a larger --timeout avoids", async () => {
  await using server = await AnsweringServer.open(async () => await new Promise<Response>(() => undefined));
  const { status, stderr } = await server.run(["agents", "--timeout", "0.05"]);
  expect([status, stderr]).toEqual([
    75,
    `error: gpu-server at ${server.url} did not answer within 0.05 s\n  Safe to retry\n`,
  ]);
});

test("a request that is only ever refused as too many is reported as not served", async () => {
  await using server = await AnsweringServer.open((request) =>
    request.method === "GET"
      ? Response.json({ agents: [GPU_1] })
      : new Response(null, { status: 429, headers: { "retry-after": "5" } }),
  );
  const { status, stderr } = await server.run(["rm", "phi4", "--timeout", "0.05"]);
  expect([status, stderr]).toEqual([
    75,
    `error: gpu-server at ${server.url} refused each request for 0.05 s: too many\n  It was not served. Send fewer requests at the same time, or use a larger --timeout\n`,
  ]);
});

describe("Ctrl-C before gpu-server answered", () => {
  test.each([
    ["rm phi4", "\n  It may still run: check before sending it again\n"],
    ["ping", "\n"],
  ])("%s ends with 130 and the right hint", async (line, hint) => {
    const stop = new AbortController();
    await using server = await AnsweringServer.open(async (request) => {
      if (request.method === "GET") return Response.json({ agents: [GPU_1] });
      stop.abort();
      return await new Promise<Response>(() => undefined);
    });
    const { status, stderr } = await server.run(line.split(" "), undefined, stop.signal);
    expect([status, stderr]).toEqual([130, `error: Interrupted before gpu-server answered${hint}`]);
  });
});

/** It has neither the routes nor the fields that came with `--server`. */
async function olderServer(): Promise<AnsweringServer> {
  const documents: Readonly<Record<string, object>> = {
    "/v1/agents": { agents: [EARLIER_GPU_1] },
    "/v1/agents/gpu-1": EARLIER_GPU_1,
    "/v1/models": { models: [] },
    "/v1/jobs": { jobs: [] },
  };
  return await AnsweringServer.open((request, url) => {
    const failed = { id: "01a20aac-24d0-7785-b91f-da066d157a40", agent: "gpu-1", kind: "pull", model: "phi4:latest" };
    const rest = { completed_bytes: 0, total_bytes: null, bytes_per_second: null, eta_seconds: null, started_at: null };
    const ended = { ended_at: EARLIER_GPU_1.last_seen_at, state: "failed", code: "exhausted", error: "No room" };
    if (request.method === "POST" && url.pathname === "/v1/jobs")
      return Response.json({ jobs: [{ ...failed, ...rest, ...ended }] }, { status: 202 });
    if (request.method === "DELETE") return problem(405, "invalid");
    const document = documents[url.pathname];
    return document === undefined ? problem(404, "not_found") : Response.json(document);
  });
}

test("agents names gpu-server, not a share of this machine, when it shows no agent", async () => {
  await using server = await AnsweringServer.open(() => Response.json({ agents: [] }));
  const { status, stderr } = await server.run(["agents"]);
  const hint = "Start gpu-agent on a GPU machine that mounts the share of gpu-server";
  expect([status, stderr]).toEqual([0, `gpu-server at ${server.url} shows no agent\n  ${hint}\n`]);
});

describe("an older gpu-server", () => {
  test("serves the verbs whose routes it has", async () => {
    await using server = await olderServer();
    for (const argv of [["agents"], ["list"], ["jobs"]])
      expect([argv, (await server.run(argv)).status]).toEqual([argv, 0]);
    expect((await server.run(["pull", "phi4"])).stderr).toBe("error: No room\n");
  });

  test("shows an agent without the fields that came later as unknown", async () => {
    await using server = await olderServer();
    const { agents } = JSON.parse((await server.run(["agents", "--json"])).stdout);
    expect(agents).toEqual([{ ...EARLIER_GPU_1, gpus: null, memory: null, platform: null, labels: null }]);
  });

  test("is named where it has no route", async () => {
    await using server = await olderServer();
    const tooOld = `gpu-server at ${server.url} is older than this gpuctl`;
    const ping = await server.run(["ping", "--agent", "gpu-1"]);
    expect([ping.status, ping.stderr]).toEqual([69, expect.stringContaining(tooOld)]);
    const forget = await server.run(["forget", "gpu-1", "--yes"]);
    expect([forget.status, forget.stderr]).toEqual([69, expect.stringContaining(tooOld)]);
    const doctor = await server.run(["doctor"]);
    expect([doctor.status, doctor.stdout]).toEqual([1, expect.stringContaining(tooOld)]);
  });

  test.each(["list", "add phi4", "rm phi4", "gc", "fetches", "cancel 1"])(
    "is named where it has no mirror: mirror %s",
    async (verb) => {
      await using server = await AnsweringServer.open(({ method }, { pathname }) => {
        if (pathname === "/v1/agents") return Response.json({ agents: [EARLIER_GPU_1] });
        return problem(404, "not_found", { detail: `No route ${method} ${pathname}` });
      });
      const { status, stderr } = await server.run(["mirror", ...verb.split(" ")]);
      expect([status, stderr]).toEqual([69, expect.stringContaining("is older than this gpuctl")]);
    },
  );

  test("gets a new field only when its option was used", async () => {
    await using server = await olderServer();
    await server.run(["pull", "phi4"]);
    await server.run(["pull", "phi4", "--force"]);
    const body = { kind: "pull", model: "phi4:latest", agents: ["gpu-1"] };
    expect(server.bodies).toEqual([body, { ...body, force: true }]);
    await server.run(["list"]);
    await server.run(["list", "--fresh"]);
    expect(server.requests.filter((request) => request.startsWith("GET /v1/models"))).toEqual([
      "GET /v1/models",
      "GET /v1/models?fresh=true&limit=10000",
    ]);
  });
});
