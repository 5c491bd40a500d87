// The compiled gpu-server on a real folder: start-up, tokens, hostile requests, a share that is not there, the end.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { openTransport } from "#src/transport/open.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { cachedBinary } from "../../scripts/binaries.ts";

const WAIT_MS = 10_000;

let folder = "";
/** Compiled once: it starts in a quarter of the time that the sources take, and these tests start fifty. */
let gpuServer = "";
beforeAll(async () => {
  gpuServer = await cachedBinary("gpu-server");
  folder = await mkdtemp(join(tmpdir(), "gpu-courier-process-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** A folder of its own for each test, with the flags that keep a server within it. */
async function newPlace(): Promise<{ share: string; flags: string[] }> {
  const place = await mkdtemp(join(folder, "place-"));
  return { share: join(place, "share"), flags: ["--share", join(place, "share"), "--state-dir", join(place, "state")] };
}

function spawn(argv: readonly string[]) {
  return Bun.spawn([gpuServer, ...argv], { cwd: folder, stdout: "pipe", stderr: "pipe", env: {} });
}

async function runToEnd(argv: readonly string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = spawn(argv);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, stdout, stderr };
}

async function makeToken(flags: readonly string[], role: string): Promise<string> {
  const { stdout } = await runToEnd(["token", "add", `a-${role}`, "--role", role, ...flags]);
  return stdout.trim();
}

interface Running extends AsyncDisposable {
  readonly url: string;
  readonly trustedUrl: string | undefined;
  /** The messages of its log until it listened. */
  readonly said: readonly string[];
  stop(signal?: "SIGTERM" | "SIGHUP"): Promise<number>;
  ask(
    path: string,
    init?: RequestInit & { token?: string },
  ): Promise<{ status: number; body: Record<string, unknown> }>;
}

/** Starts a server on a free port and reads the port from its log, which it goes on reading. */
async function start(flags: readonly string[]): Promise<Running> {
  const child = spawn(["--port", "0", "--log-format", "json", ...flags]);
  const urls = new Map<string, string>();
  const listening = Promise.withResolvers<string>();
  const said: string[] = [];
  const messages: string[] = [];
  void readLines(child.stderr, (line) => {
    said.push(line);
    if (!line.startsWith("{")) return;
    const { msg, url } = JSON.parse(line);
    messages.push(msg);
    if (typeof url === "string") urls.set(msg, url);
    if (msg === "Listening") listening.resolve(url);
  }).then(() => listening.reject(new Error(`gpu-server ended before it listened: ${said.join("\n")}`)));
  const url = await listening.promise;
  const stop = async (signal: "SIGTERM" | "SIGHUP" = "SIGTERM"): Promise<number> => {
    child.kill(signal);
    return await child.exited;
  };
  return {
    url,
    said: messages,
    trustedUrl: urls.get("Listening without tokens"),
    stop,
    ask: async (path, { token, ...init } = {}) => await ask(`${url}${path}`, token, init),
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

async function readLines(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
}

async function ask(url: string, token: string | undefined, init: RequestInit) {
  const headers = new Headers(init.headers);
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  const response = await fetch(url, { ...init, headers });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + WAIT_MS;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`Gave up waiting until ${what}`);
    await Bun.sleep(20);
  }
}

describe("gpu-server", () => {
  test("listens at once and answers 503 with the reason while the share is not there, then serves it", async () => {
    const { share, flags } = await newPlace();
    const token = await makeToken(flags, "gp");
    await using server = await start(flags);
    expect((await server.ask("/api/config/models", { token })).status).toBe(503);
    await until("the reason is known", async () => {
      const { status, body } = await server.ask("/api/config/models", { token });
      return status === 503 && String(body["detail"]).includes(share);
    });
    expect((await server.ask("/readyz")).status).toBe(503);
    expect((await server.ask("/healthz")).status).toBe(200);
    for (const name of ["gpu_commands", "gpu_status"]) await mkdir(join(share, name), { recursive: true });
    await until("the share is reached", async () => (await server.ask("/readyz")).status === 200);
    const nobody = await server.ask("/api/config/models", { token });
    expect(nobody.status).toBe(503);
    expect(nobody.body["detail"]).toContain("No agent is online");
    expect(await server.stop()).toBe(0);
  });

  test("lists, pulls and deletes through the share, and refuses what is hostile", async () => {
    const { share, flags } = await newPlace();
    await mkdir(share);
    const [gp, viewer] = [await makeToken(flags, "gp"), await makeToken(flags, "viewer")];
    await using server = await start([...flags, "--init", "--trusted-listen", "127.0.0.1:0"]);
    const name = "hf.co/user/Model-GGUF:Q4_K_M";
    const open = () => openTransport(share, { create: "always", watch: "local", clock: systemClock, log: silentLog });
    const agent = await ScriptedAgent.open({ open }, "gpu-1", { models: [modelOf("phi4:latest"), modelOf(name)] });
    const json = { "content-type": "application/json" };
    const path = `/v1/agents/gpu-1/models/${encodeURIComponent(name)}`;
    const status = async (at: string, init: Parameters<typeof server.ask>[1] = {}): Promise<number> =>
      (await server.ask(at, init)).status;
    try {
      await until("the agent is seen", async () => (await status("/api/config/models", { token: gp })) === 200);
      expect(await status("/api/config/models")).toBe(401);
      expect(await status("/api/config/models", { token: "wrong" })).toBe(401);
      expect(await status("/api/config/models", { token: viewer })).toBe(403);
      expect(await status(path, { token: viewer })).toBe(200);
      expect(await status(path, { token: viewer, method: "DELETE" })).toBe(403);
      expect(await status(path, { token: gp, method: "DELETE" })).toBe(200);
      expect(await status(path, { token: gp, method: "DELETE" })).toBe(404);
      expect(await status("/v1/agents/gpu-9", { token: gp })).toBe(404);
      const pull = { token: gp, method: "POST" };
      const at = "/api/config/pull-model";
      expect(await status(at, { ...pull, body: "model_name=phi4" })).toBe(415);
      expect(await status(at, { ...pull, headers: json, body: '{"model_name": ' })).toBe(400);
      expect(await status(at, { ...pull, headers: json, body: `"${"x".repeat(70_000)}"` })).toBe(413);
      const pulled = await server.ask(at, { ...pull, headers: json, body: '{"model_name": "gemma3:12b"}' });
      expect([pulled.status, pulled.body["job"]]).toEqual([200, agent.jobs[0] as unknown]);
      const deleted = await ask(`${server.trustedUrl}/api/models/phi4%3Alatest`, undefined, { method: "DELETE" });
      expect(deleted).toEqual({ status: 200, body: { success: true, message: expect.any(String) } });
      expect(agent.models).toEqual([]);
      const { entries } = JSON.parse((await runToEnd(["audit", "--json", "--limit", "2", ...flags])).stdout);
      const local = { agent: "gpu-1", outcome: "ok", peer: "127.0.0.1" };
      expect(entries).toMatchObject([
        { ...local, way: "trusted", verb: "delete_model", model: "phi4:latest" },
        { ...local, who: "a-gp", way: "token", verb: "pull_model", job: agent.jobs[0]?.id },
      ]);
    } finally {
      await agent.close();
    }
  });

  test("SIGHUP stops it as SIGTERM does, with 0", async () => {
    const { flags } = await newPlace();
    await using server = await start(flags);
    expect(await server.stop("SIGHUP")).toBe(0);
  });

  test("takes a token made while it runs, and refuses it once it is revoked", async () => {
    const { flags } = await newPlace();
    await using server = await start(flags);
    const made = await runToEnd(["token", "add", "late", "--role", "gp", ...flags]);
    expect(made.stdout).toMatch(/^\S+\n$/);
    const token = made.stdout.trim();
    const at = "/api/config/available-models";
    expect((await server.ask(at, { token })).status).toBe(200);
    const listed = await runToEnd(["token", "list", "--json", ...flags]);
    expect(JSON.parse(listed.stdout)).toEqual({
      tokens: [
        {
          name: "late",
          role: "gp",
          created_at: expect.any(String),
          expires_at: null,
          agents: null,
          verbs: null,
          last_used_at: expect.any(String),
        },
      ],
    });
    expect((await runToEnd(["token", "list", ...flags])).stdout).toMatch(
      /^NAME +ROLE +CREATED +EXPIRES +LAST USED\nlate +gp +\d{4}-\d\d-\d\d +never +(?:just now|\d+ seconds? ago)\n$/,
    );
    expect((await runToEnd(["token", "revoke", "late", ...flags])).status).toBe(0);
    expect((await server.ask(at, { token })).status).toBe(401);
    expect((await runToEnd(["token", "revoke", "late", ...flags])).status).toBe(66);
  });

  test("makes tokens with limits, and teaches them in the help", async () => {
    const { flags } = await newPlace();
    const limits = ["--expires", "30d", "--agents", "gpu-1,gpu-2", "--verbs", "list_models,pull_model"];
    expect((await runToEnd(["token", "add", "berlin", "--role", "gp", ...limits, ...flags])).status).toBe(0);
    const { tokens } = JSON.parse((await runToEnd(["token", "list", "--json", ...flags])).stdout);
    const [entry] = tokens;
    expect(entry).toMatchObject({ agents: ["gpu-1", "gpu-2"], verbs: ["list_models", "pull_model"] });
    expect(Date.parse(entry.expires_at) - Date.parse(entry.created_at)).toBeWithin(
      29.9 * 86_400_000,
      30.1 * 86_400_000,
    );
    const { stdout } = await runToEnd(["token", "add", "--help"]);
    for (const word of ["--expires", "2027-06-01", "--agents", "gpu-1,gpu-2", "--verbs", "list_models ", "pull models"])
      expect(stdout).toContain(word);
  });

  test("serves as many listeners as --max-listeners says", async () => {
    const { flags } = await newPlace();
    const token = await makeToken(flags, "gp");
    await using server = await start([...flags, "--max-listeners", "1"]);
    const headers = { authorization: `Bearer ${token}` };
    const first = await fetch(`${server.url}/v1/events`, { headers });
    const second = await server.ask("/v1/events", { token });
    expect([first.status, second.status, second.body["detail"]]).toEqual([
      200,
      429,
      "No more than 1 listeners are served",
    ]);
    await first.body?.cancel();
  });

  test("serves --trusted-host without tokens, and warns where other machines may reach it", async () => {
    const { share, flags } = await newPlace();
    await mkdir(share);
    await makeToken(flags, "gp");
    const trusted = ["--trusted-listen", "0.0.0.0:0", "--trusted-host", "a.example,b.example", "--init"];
    await using server = await start([...flags, ...trusted]);
    const url = `http://127.0.0.1:${new URL(server.trustedUrl ?? "").port}/api/nothing`;
    const statuses = ["a.example", "B.example:80", "127.0.0.1", "rebound.example"].map(
      async (host) => (await fetch(url, { headers: { host } })).status,
    );
    expect(await Promise.all(statuses)).toEqual([404, 404, 404, 403]);
    expect(server.said).toContain("Other machines may reach the listener without tokens");
  });

  test("exits 77 with a hint when others could reach it and there is no token", async () => {
    const { flags } = await newPlace();
    const { status, stderr } = await runToEnd(["--host", "0.0.0.0", "--port", "0", ...flags]);
    expect(status).toBe(77);
    expect(stderr).toContain("gpu-server token add");
  });

  test.concurrent.each([
    [["--no-such-flag"]],
    [["--port", "99999"]],
    [["--timeout", "soon"]],
    [["--max-listeners", "0"]],
    [["--default-agent", "../x"]],
    [["--trusted-listen", "8002"]],
    [["--trusted-host", "gpu.example.org:8002"]],
    [["--trusted-host", "a/b"]],
    [["--cors-origin", "*"]],
    [["--cors-origin", "https://dash.example.org/page"]],
    [["--catalog", "/nowhere/catalog.json"]],
    [["token", "add", "x"]],
    [["token", "add", "x", "--role", "root"]],
    [["token", "add", "x", "--role", "gp", "--expires", "soon"]],
    [["token", "add", "x", "--role", "gp", "--expires", "2020-01-01"]],
    [["token", "add", "x", "--role", "gp", "--agents", "../x"]],
    [["token", "add", "x", "--role", "gp", "--agents", ""]],
    [["token", "add", "x", "--role", "gp", "--verbs", "list_models,ping"]],
    [["token", "add", "x", "--role", "viewer", "--verbs", "pull_model"]],
    [["no-such-verb"]],
  ])("exits 64 saying why when it is given %p", async (argv) => {
    const { flags } = await newPlace();
    const { status, stdout, stderr } = await runToEnd([...argv, ...flags]);
    expect([status, stdout]).toEqual([64, ""]);
    expect(stderr).toStartWith("error: ");
  });

  test("explains tokens and every flag's environment variable in its help", async () => {
    const { status, stdout } = await runToEnd(["--help"]);
    expect(status).toBe(0);
    for (const word of [
      "token add",
      "GPU_COURIER_PORT",
      "GPU_COURIER_TRUSTED_LISTEN",
      "GPU_COURIER_MAX_LISTENERS",
      "GPU_COURIER_STATE_DIR",
    ])
      expect(stdout).toContain(word);
  });
});
