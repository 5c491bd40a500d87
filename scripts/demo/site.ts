// A share in a temp folder with a GPU box on one side and the platform on the other: real processes, a simulated Ollama.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../binaries.ts";
import { Child, programCommand, runInForeground } from "../children.ts";

/** Bytes a second, so that a pull of 1.3 GB takes two seconds. */
const DOWNLOAD_SPEED = "700000000";
/** The name of the platform's token. */
const TOKEN = "demo";
const LISTED_WITHIN_MS = 15_000;

export class Site {
  readonly dir: string;
  readonly share: string;
  readonly agent = "gpu-1";
  readonly #stopping: AbortSignal;
  readonly #children: Child[] = [];
  #foreground: Promise<number> | undefined;
  #ollamaUrl = "";
  #serverUrl = "";
  #token = "";

  private constructor(dir: string, stopping: AbortSignal) {
    this.dir = dir;
    this.#stopping = stopping;
    this.share = join(dir, "share");
  }

  /**
   * Starts everything; resolves when all of it is ready.
   * @param stopping ends what runs in the foreground; the rest is for `close()`
   */
  static async open(stopping: AbortSignal): Promise<Site> {
    const site = new Site(await mkdtemp(join(tmpdir(), "gpu-courier-demo-")), stopping);
    try {
      await mkdir(site.share);
      await site.#startOllama();
      await Promise.all([site.#startAgent(), site.#startServer()]);
      await site.#untilListed();
      return site;
    } catch (error) {
      await site.close();
      throw error;
    }
  }

  get ollamaUrl(): string {
    return this.#ollamaUrl;
  }

  get serverUrl(): string {
    return this.#serverUrl;
  }

  get token(): string {
    return this.#token;
  }

  /** The file with what agent or server logs. */
  logFile(program: "agent" | "server"): string {
    return join(this.dir, `${program}.log`);
  }

  /** The arguments of gpu-server that print a link for the console. */
  get signInLinkArgs(): readonly string[] {
    return ["sign-in-link", TOKEN, "--state-dir", this.#serverStateDir, "--public-url", this.#serverUrl];
  }

  /** A link that signs a browser in once, within 5 minutes. */
  async signInLink(): Promise<string> {
    return await this.#output([...programCommand("server"), ...this.signInLinkArgs]);
  }

  get #serverStateDir(): string {
    return join(this.dir, "server");
  }

  /** Its blobs have the length of real ones, and take no room. */
  get #modelsDir(): string {
    return join(this.dir, "models");
  }

  /** Calls gpu-server as the platform does. @throws Error with its answer when it refuses */
  async call(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const headers = { authorization: `Bearer ${this.#token}`, "content-type": "application/json" };
    const text = body === undefined ? null : JSON.stringify(body);
    const response = await fetch(`${this.#serverUrl}${path}`, { method, headers, body: text });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer}`);
    return JSON.parse(answer);
  }

  /** Runs gpuctl, which prints for itself. @throws Error when it fails */
  async gpuctl(...args: readonly string[]): Promise<void> {
    const command = [...programCommand("client"), "--share", this.share, ...args];
    this.#foreground = runInForeground(command, this.dir, this.#stopping);
    const status = await this.#foreground;
    if (status !== 0) throw new Error(`gpuctl ${args.join(" ")} ended with exit status ${status}`);
  }

  /** Ends all and removes the folder. Idempotent. */
  async close(): Promise<void> {
    await this.#foreground;
    await Promise.all(this.#children.splice(0).map(async (child) => await child.stop()));
    await rm(this.dir, { recursive: true, force: true });
  }

  #start(command: readonly string[], logFile?: string): Child {
    const child = new Child(command, this.dir, logFile);
    this.#children.push(child);
    return child;
  }

  /** What a command prints. @throws Error when it fails */
  async #output(command: readonly string[]): Promise<string> {
    const { status, output } = await this.#start(command).finished();
    if (status !== 0) throw new Error(`${command.join(" ")}: ${output}`);
    return output.trim();
  }

  async #startOllama(): Promise<void> {
    const installed = ["--installed", "all-minilm:latest", "--installed", "gemma3:270m"];
    const main = join(ROOT, "sim/ollama/main.ts");
    const own = ["--speed", DOWNLOAD_SPEED, "--models", this.#modelsDir];
    const ollama = this.#start([process.execPath, main, ...own, ...installed]);
    this.#ollamaUrl = String((await ollama.line('"url"'))["url"]);
  }

  async #startAgent(): Promise<void> {
    const own = ["--name", this.agent, "--ollama", this.#ollamaUrl, "--ollama-models", this.#modelsDir];
    const command = [...programCommand("agent"), ...this.#settings("agent"), ...own];
    await this.#start(command, this.logFile("agent")).line('"Ready"');
  }

  async #startServer(): Promise<void> {
    const add = ["token", "add", TOKEN, "--role", "gp", "--state-dir", this.#serverStateDir];
    this.#token = await this.#output([...programCommand("server"), ...add]);
    const command = [...programCommand("server"), ...this.#settings("server"), "--port", "0"];
    const server = this.#start(command, this.logFile("server"));
    this.#serverUrl = String((await server.line('"Listening"'))["url"]);
  }

  /** The server listens before it has found the share, and the agent may not have heard from Ollama yet. */
  async #untilListed(): Promise<void> {
    for (const deadlineMs = performance.now() + LISTED_WITHIN_MS; ; await Bun.sleep(20)) {
      try {
        await this.call("GET", "/api/config/models");
        return;
      } catch (error) {
        if (performance.now() > deadlineMs) throw error;
      }
    }
  }

  #settings(name: string): readonly string[] {
    return ["--share", this.share, "--init", "--state-dir", join(this.dir, name), "--log-format", "json"];
  }
}
