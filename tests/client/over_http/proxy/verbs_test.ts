// The verbs ollama and proxy: what they check first, what they run or print, and how they end.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ClientSite } from "#tests/support/sites/client_run.ts";
import { AnsweringServer, GPU_1, problem } from "../answering.ts";

const PATH = process.env["PATH"] ?? "";

let server: AnsweringServer;
let agents: readonly object[];
beforeEach(async () => {
  agents = [GPU_1];
  server = await AnsweringServer.open((request, { pathname }) => {
    if (request.headers.get("authorization") !== "Bearer gc_secret") return problem(401, "unauthenticated");
    if (pathname === "/v1/agents") return Response.json({ agents });
    if (pathname === "/agents/gpu-1/api/tags") return Response.json({ models: [] });
    return Response.json({ error: "nothing here" }, { status: 404 });
  });
  const bin = join(server.dir, "bin");
  await mkdir(bin);
  await writeFile(join(bin, "ollama"), "#!/bin/sh\n");
  await chmod(join(bin, "ollama"), 0o755);
  process.env["PATH"] = bin;
});
afterEach(async () => {
  process.env["PATH"] = PATH;
  await server[Symbol.asyncDispose]();
});

const withTwo = (): void => {
  agents = [GPU_1, { ...GPU_1, agent: "gpu-2" }];
};

describe("gpuctl ollama", () => {
  test("runs ollama with its arguments, and with an address that leads to the agent", async () => {
    let command: readonly string[] = [];
    let seen: Record<string, string | undefined> = {};
    let answer = "";
    server.runProgram = async (line, environment) => {
      [command, seen] = [line, environment];
      answer = await (await fetch(`${environment["OLLAMA_HOST"]}/api/tags`)).text();
      return 0;
    };
    process.env["OLLAMA_HOST"] = "http://elsewhere:1";
    const ran = await server.run(["ollama", "--agent", "gpu-1", "--", "pull", "phi4", "--insecure"]);
    delete process.env["OLLAMA_HOST"];
    expect(ran).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(command).toEqual([join(server.dir, "bin/ollama"), "pull", "phi4", "--insecure"]);
    expect(seen["OLLAMA_HOST"]).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}$/);
    expect(seen["PATH"]).toBe(process.env["PATH"]);
    expect(answer).toBe('{"models":[]}');
    expect(server.requests).toEqual(["GET /v1/agents", "GET /agents/gpu-1/api/tags"]);
    expect(server.authorizations).toEqual(["Bearer gc_secret", "Bearer gc_secret"]);
  });

  test("serves only who knows the path, and nobody once ollama has ended", async () => {
    let base = "";
    server.runProgram = async (_, environment) => {
      base = environment["OLLAMA_HOST"] ?? "";
      const { origin } = new URL(base);
      for (const path of ["/", "/api/tags", "/00000000000000000000000000000000/api/tags"])
        expect((await fetch(`${origin}${path}`)).status).toBe(404);
      return 0;
    };
    expect((await server.run(["ollama", "--", "list"])).status).toBe(0);
    expect(server.requests).toEqual(["GET /v1/agents"]);
    expect(await fetch(base).catch(() => "closed")).toBe("closed");
  });

  test.each([1, 3, 130, 143])("ends with status %i as ollama does", async (status) => {
    server.runProgram = async () => status;
    expect(await server.run(["ollama", "--", "list"])).toEqual({ status, stdout: "", stderr: "" });
  });

  test("waits after Ctrl-C for ollama to end", async () => {
    const stop = new AbortController();
    const [running, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    server.runProgram = async () => {
      running.resolve();
      await ended.promise;
      return 7;
    };
    const ran = server.run(["ollama", "--", "pull", "phi4"], undefined, stop.signal);
    await running.promise;
    stop.abort();
    ended.resolve();
    expect((await ran).status).toBe(7);
  });

  test("without a program ollama shows what to do, and asks nobody", async () => {
    process.env["PATH"] = server.dir;
    const { status, stderr } = await server.run(["ollama", "--", "list"]);
    expect([status, server.requests]).toEqual([69, []]);
    expect(stderr).toStartWith(
      "error: There is no program ollama on the PATH\n  Install it (https://ollama.com/download)",
    );
  });

  test("needs arguments", async () => {
    const { status, stderr } = await server.run(["ollama"]);
    expect([status, stderr]).toEqual([64, expect.stringContaining("missing required argument 'argument'")]);
  });
});

describe.each([[["ollama", "--", "list"]], [["proxy", "--port", "0"]]])("gpuctl %p", (argv) => {
  const [verb = ""] = argv;
  const run = async (...more: string[]) => {
    server.runProgram = async () => await Promise.reject(new Error("It must not run"));
    return await server.run([...more, ...argv]);
  };

  test("needs one agent of several", async () => {
    withTwo();
    expect(await run()).toMatchObject({
      status: 73,
      stderr: expect.stringContaining("More than one agent (gpu-1, gpu-2)"),
    });
    for (const named of [["--agent", "gpu-1,gpu-2"], ["--all"]])
      expect(await run(...named)).toEqual({
        status: 73,
        stdout: "",
        stderr: `error: gpuctl ${verb} is for one agent, not for 2: gpu-[1-2]\n  Choose one by its name: --agent NAME\n`,
      });
  });

  test("names an agent that is unknown, a token that does not count and a server that is away", async () => {
    expect(await run("--agent", "gpu-7")).toMatchObject({
      status: 66,
      stderr: expect.stringContaining('agent "gpu-7"'),
    });
    await writeFile(server.tokenFile, "gc_wrong\n");
    expect(await run()).toMatchObject({ status: 77, stderr: expect.stringContaining("It did not work") });
    const away = await server.run(argv, ["--server", "http://127.0.0.1:1"]);
    expect(away).toMatchObject({ status: 69, stderr: expect.stringContaining("Cannot reach gpu-server") });
  });

  test("needs gpu-server", async () => {
    const site = new ClientSite();
    const { status, stderr } = await site.run(argv);
    expect([status, stderr]).toEqual([
      64,
      expect.stringContaining(`gpuctl ${verb} needs gpu-server, because a share carries no requests of Ollama's API\n`),
    ]);
    expect(stderr).toContain("--server URL or GPU_COURIER_SERVER");
    await site.close();
  });
});

describe("gpuctl proxy", () => {
  /** Starts it, does this with what it printed first, and stops it. */
  async function proxied(argv: readonly string[], use: (line: string) => Promise<void>) {
    const stop = new AbortController();
    const printed = Promise.withResolvers<string>();
    const ended = server.run(["proxy", "--port", "0", ...argv], undefined, stop.signal, printed.resolve);
    const line = await Promise.race([printed.promise, ended.then(({ stderr }) => stderr)]);
    await use(line).finally(() => stop.abort());
    return await ended;
  }

  test("prints its address with an example, serves it, and ends with 0 when it is stopped", async () => {
    let url = "";
    const { status, stderr } = await proxied([], async (line) => {
      url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0] ?? "";
      expect(line).toBe(`gpu-1 is at ${url} until Ctrl-C. For example: OLLAMA_HOST=${url} ollama list\n`);
      expect(await (await fetch(`${url}/api/tags`)).json()).toEqual({ models: [] });
    });
    expect([status, stderr]).toEqual([0, ""]);
    expect(await fetch(url).catch(() => "closed")).toBe("closed");
  });

  test("prints a document with --json", async () => {
    await proxied(["--json"], async (line) => {
      const document: Record<string, unknown> = JSON.parse(line);
      expect(document).toEqual({
        agent: "gpu-1",
        url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
        server: server.url,
      });
      expect((await fetch(`${String(document["url"])}/api/tags`)).status).toBe(200);
    });
  });

  test("names a port that is in use, with what to do", async () => {
    const port = new URL(server.url).port;
    const { status, stderr } = await server.run(["proxy", "--port", port]);
    expect([status, stderr]).toEqual([
      73,
      `error: Cannot listen on 127.0.0.1:${port}: the port is already in use\n  Choose another --port, or --port 0 for any free one\n`,
    ]);
  });

  test.each(["65536", "-1", "http"])("refuses the port %s", async (port) => {
    expect((await server.run(["proxy", "--port", port])).status).toBe(64);
  });
});
