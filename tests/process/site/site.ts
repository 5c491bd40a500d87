// A share in a temp folder and the three entry points on it as real processes.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { type SimulatedOllama, type SimulationOptions, startSimulatedOllama } from "#sim/ollama/ollama.ts";

const SOURCES = join(import.meta.dir, "../../../src");
const SERVER = "server.ts";
const CRASHING_AGENT = "../tests/process/site/crashing_agent.ts";
const FLEET = "../tests/process/site/fleet.ts";
/** Far more than anything takes on an idle machine: a busy one stretches a second to ten. */
const WAIT_MS = 30_000;
/** By their names most models of the tests are in a registry on the internet: the console must not have it asked. */
const NO_REGISTRY = { GPU_COURIER_ALLOW_REGISTRY: "127.0.0.1:1" };

type Environment = Readonly<Record<string, string>>;

/** A running process and its log. */
export class Running {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #log: string[] = [];
  readonly #reading: Promise<void>;
  readonly #waitMs: number;

  constructor(child: Bun.Subprocess<"ignore", "pipe", "pipe">, waitMs = WAIT_MS) {
    this.#child = child;
    this.#waitMs = waitMs;
    this.#reading = this.#read();
  }

  get pid(): number {
    return this.#child.pid;
  }

  get log(): string {
    return this.#log.join("");
  }

  /** The first line of the log that holds `text`, as JSON. @throws when the process ends or too much time passes without it */
  async logged(text: string): Promise<Record<string, unknown>> {
    const line = await until(
      () => {
        const found = this.log.split("\n").find((candidate) => candidate.includes(text));
        if (found === undefined && this.#child.exitCode !== null)
          throw new Error(`It ended without "${text}":\n${this.log}`);
        return found;
      },
      `"${text}" is logged`,
      this.#waitMs,
    );
    return JSON.parse(line);
  }

  /** Ends it, and waits. @returns its exit status */
  async stop(signal: "SIGTERM" | "SIGINT" | "SIGHUP" | "SIGKILL" = "SIGTERM"): Promise<number> {
    this.#child.kill(signal);
    return await this.exited();
  }

  async exited(): Promise<number> {
    const status = await this.#child.exited;
    await this.#reading;
    return status;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr) this.#log.push(decoder.decode(chunk, { stream: true }));
  }
}

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface ServerStart {
  readonly script: string;
  readonly stateDir: string;
  readonly tokens: HttpServer["tokens"];
}

export class ProcessSite {
  readonly dir = mkdtempSync(join(tmpdir(), "gpu-courier-site-"));
  readonly share = join(this.dir, "share");
  readonly #running: Running[] = [];
  readonly #ollamas: SimulatedOllama[] = [];
  readonly #stateDirs = new Map<HttpServer, string>();
  #servers = 0;

  constructor() {
    for (const folder of ["gpu_commands", "gpu_status"]) mkdirSync(join(this.share, folder), { recursive: true });
  }

  async ollama(options: SimulationOptions = {}): Promise<SimulatedOllama> {
    const ollama = await startSimulatedOllama(options);
    this.#ollamas.push(ollama);
    return ollama;
  }

  /** Starts gpu-agent; resolves when it is ready. */
  async agent(name: string, ollamaUrl: string, args: readonly string[] = []): Promise<Running> {
    const agent = this.startAgent(name, ollamaUrl, args);
    await agent.logged("Ready");
    return agent;
  }

  /** Starts gpu-agent without waiting for it. @param command its source, unless another one is given */
  startAgent(
    name: string,
    ollamaUrl: string,
    args: readonly string[] = [],
    env: Environment = {},
    command: readonly string[] = [process.execPath, join(SOURCES, "agent.ts")],
  ): Running {
    return this.#spawn([...command, ...this.#agentArgs(name, ollamaUrl), ...args], env);
  }

  /**
   * Starts a gpu-agent that kills itself at one point of the command `id`; resolves when it is ready.
   * @param aheadMs of its clock
   */
  async crashingAgent(
    name: string,
    ollamaUrl: string,
    { point, id, aheadMs = 0 }: { readonly point: string; readonly id: string; readonly aheadMs?: number },
    args: readonly string[] = [],
  ) {
    const agent = this.start(CRASHING_AGENT, [
      point,
      id,
      String(aheadMs),
      ...this.#agentArgs(name, ollamaUrl),
      ...args,
    ]);
    await agent.logged("Ready");
    return agent;
  }

  /** Starts several agents in one process; resolves when all are ready. */
  async fleet(boxes: readonly { name: string; ollamaUrl: string; args: readonly string[] }[]): Promise<Running> {
    const argvs = boxes.map(({ name, ollamaUrl, args }) => [...this.#agentArgs(name, ollamaUrl), ...args]);
    const fleet = this.start(FLEET, [JSON.stringify(argvs)]);
    const ready = (): boolean => fleet.log.split('"Ready"').length > boxes.length;
    await until(ready, "the whole fleet is ready", 3 * WAIT_MS);
    return fleet;
  }

  /**
   * Starts gpu-agent with its state directory on a file system of that size, in a mount namespace of its own; resolves when it is ready.
   * @param prepare shell commands that run in that folder before
   */
  async agentOnSmallDisk(name: string, ollamaUrl: string, bytes: number, prepare = ":"): Promise<Running> {
    const stateDir = this.stateDirOf(name);
    mkdirSync(stateDir);
    const command = [process.execPath, join(SOURCES, "agent.ts"), ...this.#agentArgs(name, ollamaUrl)];
    const mount =
      'mount -t tmpfs -o "size=$1" tmpfs "$2" && { (cd "$2" && eval "$3") || true; } && shift 3 && exec "$@"';
    const inside = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh", String(bytes), stateDir, prepare];
    const agent = this.#spawn([...inside, ...command]);
    await agent.logged("Ready");
    return agent;
  }

  stateDirOf(name: string): string {
    return join(this.dir, `agent-${name}`);
  }

  #agentArgs(name: string, ollamaUrl: string): readonly string[] {
    const own = ["--name", name, "--ollama", ollamaUrl, "--state-dir", this.stateDirOf(name)];
    return ["--share", this.share, "--log-format", "json", ...own];
  }

  /**
   * Starts gpu-server on a free port with a token of each role; resolves when it listens and has the share.
   * @param script its source, unless another one or a program is given
   */
  async server(args: readonly string[] = [], script = SERVER): Promise<HttpServer> {
    this.#servers += 1;
    const stateDir = join(this.dir, `server-${this.#servers}`);
    const token = async (role: string): Promise<string> => {
      const made = await this.run(script, ["token", "add", role, "--role", role, "--state-dir", stateDir]);
      return made.stdout.trim();
    };
    const tokens = { gp: await token("gp"), viewer: await token("viewer") };
    return await this.#startServer({ script, stateDir, tokens }, args);
  }

  /** Stops a server and starts another one on its state directory. @param script its source, unless another one is given */
  async restart(server: HttpServer, script = SERVER, args: readonly string[] = []): Promise<HttpServer> {
    await server.process.stop();
    return await this.#startServer({ script, stateDir: this.stateDirOfServer(server), tokens: server.tokens }, args);
  }

  stateDirOfServer(server: HttpServer): string {
    const stateDir = this.#stateDirs.get(server);
    if (stateDir === undefined) throw new Error("Not a server of this site");
    return stateDir;
  }

  async #startServer({ script, stateDir, tokens }: ServerStart, args: readonly string[]): Promise<HttpServer> {
    const common = ["--share", this.share, "--port", "0", "--state-dir", stateDir, "--log-format", "json"];
    const running = this.start(script, [...common, ...args], NO_REGISTRY);
    const { url } = await running.logged('"Listening"');
    await running.logged("Reached the share");
    const server = new HttpServer(String(url), tokens, running);
    this.#stateDirs.set(server, stateDir);
    return server;
  }

  async gpuctl(...args: readonly string[]): Promise<Finished> {
    return await this.run("client.ts", ["--share", this.share, ...args]);
  }

  /** @param script relative to the sources, or absolute; also a compiled program */
  start(script: string, args: readonly string[], env: Environment = {}): Running {
    return this.#spawn([...commandOf(script), ...args], env);
  }

  #spawn(command: readonly string[], env: Environment = {}): Running {
    const child = Bun.spawn([...command], {
      cwd: this.dir,
      env: { ...cleanEnvironment(this.dir), ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const running = new Running(child);
    this.#running.push(running);
    return running;
  }

  /** Runs it to its end. @param script as for `start()` */
  async run(script: string, args: readonly string[]): Promise<Finished> {
    const child = Bun.spawn([...commandOf(script), ...args], {
      cwd: this.dir,
      env: cleanEnvironment(this.dir),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: 30_000,
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { status: await child.exited, stdout, stderr };
  }

  /** Writes a file on the share in place, as a person or a legacy program does. */
  write(path: string, content: string | object): void {
    mkdirSync(dirname(join(this.share, path)), { recursive: true });
    writeFileSync(join(this.share, path), typeof content === "string" ? content : JSON.stringify(content));
  }

  list(folder: string): string[] {
    return readdirSync(join(this.share, folder)).filter((name) => !name.startsWith("."));
  }

  /** A document of the share, once it exists. */
  async document(path: string): Promise<Record<string, unknown>> {
    const file = join(this.share, path);
    const text = await until(() => (existsSync(file) ? readFileSync(file, "utf8") : undefined), `${path} is there`);
    return JSON.parse(text);
  }

  state(agent: string): Record<string, unknown> {
    return JSON.parse(readFileSync(join(this.share, "gpu_status", `${agent}_status.json`), "utf8"));
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map(async (running) => await running.stop("SIGKILL")));
    await Promise.all(this.#ollamas.map(async (ollama) => await ollama.stop()));
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export class HttpServer {
  readonly url: string;
  readonly tokens: { readonly gp: string; readonly viewer: string };
  readonly process: Running;

  constructor(url: string, tokens: { readonly gp: string; readonly viewer: string }, running: Running) {
    this.url = url;
    this.tokens = tokens;
    this.process = running;
  }

  /** Calls a route as `gp` unless `role` is given. */
  async call(method: string, path: string, body?: object, role: "gp" | "viewer" | null = "gp") {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(role === null ? {} : { authorization: `Bearer ${this.tokens[role]}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer: Record<string, unknown> = text.startsWith("{") ? JSON.parse(text) : { text };
    return { status: response.status, answer };
  }
}

function commandOf(script: string): readonly string[] {
  return script.endsWith(".ts") ? [process.execPath, resolve(SOURCES, script)] : [script];
}

/** Waits until `look` returns something other than undefined and false. @throws after `waitMs` @param pauseMs between looks */
export async function until<Value>(
  look: () => Value | undefined | false | Promise<Value | undefined | false>,
  what: string,
  waitMs = WAIT_MS,
  pauseMs = 10,
): Promise<Value> {
  const endMs = performance.now() + waitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`Waited ${waitMs / 1000} s without success until ${what}`);
    await Bun.sleep(pauseMs);
  }
}

/** This environment without the variables that configure a program. What gpuctl remembers stays in the site's folder. */
function cleanEnvironment(dir: string): Record<string, string | undefined> {
  const ours = /^(GPU_COURIER_|OLLAMA_|STATE_DIRECTORY$|XDG_STATE_HOME$|NOTIFY_SOCKET$|JOURNAL_STREAM$)/;
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
  // By their names most models of the tests are in a registry on the internet: it must not be asked.
  const settings = process.env["XDG_CONFIG_HOME"] ?? "";
  const XDG_CONFIG_HOME = settings.startsWith(dir) ? settings : join(dir, "config");
  return { ...own, XDG_CONFIG_HOME, GPU_COURIER_PREFLIGHT: "off" };
}
