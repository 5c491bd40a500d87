// One exported folder, mounted on the clients, and the binaries on it.
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type SimulatedOllama, type SimulationOptions, startSimulatedOllama } from "#sim/ollama/ollama.ts";
import { type Finished, HttpServer, Running } from "#tests/process/site/site.ts";
import type { NetworkExport } from "./file_systems/exports.ts";
import { NfsExport } from "./file_systems/nfs.ts";
import { SmbExport } from "./file_systems/smb.ts";
import { ADDRESSES, type Client, finish, run, spawn } from "./machines.ts";
import type { Protocol } from "./scope.ts";
import { clientOf, type Seat, userOf } from "./seats.ts";

/** Emulated processes take seconds to start; on a busy machine many. */
const TIMEOUT_MS = 60_000;
const MAX_LOOKS = 50;

/** Ends at the end of the block that it is opened in. */
export class NetworkSite implements AsyncDisposable {
  /** On the server: its own disk. */
  readonly folder: string;
  /** On every client: where it is mounted, or is to be. */
  readonly share: string;
  readonly #name: string;
  readonly #export: NetworkExport;
  readonly #mounted = new Set<Client>();
  readonly #running: Running[] = [];
  readonly #ollamas: SimulatedOllama[] = [];

  private constructor(name: string, protocol: Protocol) {
    this.#name = `${name}-${protocol}`;
    this.folder = join("/disk/export", this.#name);
    this.share = join("/mnt", this.#name);
    this.#export = protocol === "smb" ? new SmbExport(this.folder) : new NfsExport(this.folder, protocol);
  }

  /**
   * An empty exported folder, mounted with default options on all clients unless some are named.
   * @param squash root is root, unless another option of exports(5) is given
   */
  static async open(
    name: string,
    protocol: Protocol,
    clients: readonly Client[] = ["c1", "c2", "c3"],
    squash = "no_root_squash",
  ): Promise<NetworkSite> {
    const site = new NetworkSite(name, protocol);
    try {
      mkdirSync(site.folder, { recursive: true });
      await site.export(squash);
      for (const client of clients) await site.mount(client);
      return site;
    } catch (error) {
      await site[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** @param options in addition to the protocol; empty: the defaults */
  async mount(client: Client, options = ""): Promise<void> {
    await run(client, "mkdir", "-p", this.share);
    await this.#export.mount(client, this.share, options);
    this.#mounted.add(client);
  }

  /** Exports it, also again with other options. */
  async export(squash: string): Promise<void> {
    await this.#export.open(squash);
  }

  /** No client can use it until it is exported again. */
  async unexport(): Promise<void> {
    await this.#export.close();
  }

  /** Takes it out of the tree at once, also while it is in use. */
  async unmount(client: Client): Promise<void> {
    this.#mounted.delete(client);
    await run(client, "umount", "-l", this.share);
  }

  async ollama(options: SimulationOptions = {}): Promise<SimulatedOllama> {
    const ollama = await startSimulatedOllama({ host: ADDRESSES.server, ...options });
    this.#ollamas.push(ollama);
    return ollama;
  }

  /** Starts gpu-agent; resolves when it is ready. @param binary another one in its place */
  async agent(
    seat: Seat,
    name: string,
    ollama: Pick<SimulatedOllama, "url">,
    args: readonly string[] = [],
    binary = "gpu-agent",
  ): Promise<Running> {
    const agent = this.startAgent(seat, name, ollama, args, binary);
    await agent.logged("Ready");
    return agent;
  }

  /** Starts gpu-agent and does not wait. */
  startAgent(
    seat: Seat,
    name: string,
    { url }: Pick<SimulatedOllama, "url">,
    args: readonly string[] = [],
    binary = "gpu-agent",
  ): Running {
    const own = ["--name", name, "--ollama", url, "--state-dir", this.#ownStateDir(name, seat)];
    return this.#start(seat, binary, [...own, ...args]);
  }

  /** Starts gpu-server with a token of the role `gp`; resolves when it listens and has the share. */
  async server(seat: Seat, args: readonly string[] = []): Promise<HttpServer> {
    const stateDir = ["--state-dir", this.#ownStateDir(`server-${clientOf(seat)}`, seat)];
    const made = await run(seat, "gpu-server", "token", "add", "gp", "--role", "gp", ...stateDir);
    // One token only: a process more takes an emulated machine seconds, and what roles may do is tested elsewhere.
    const tokens = { gp: made.trim(), viewer: "" };
    const running = this.#start(seat, "gpu-server", [
      "--host",
      ADDRESSES[clientOf(seat)],
      "--port",
      "0",
      ...stateDir,
      ...args,
    ]);
    const { url } = await running.logged('"Listening"');
    await running.logged("Reached the share");
    return new HttpServer(String(url), tokens, running);
  }

  async gpuctl(seat: Seat, ...args: readonly string[]): Promise<Finished> {
    const settings = `XDG_CONFIG_HOME=/tmp/${this.#name}-${userOf(seat) ?? "root"}`;
    return await finish(seat, ["env", settings, "gpuctl", "--share", this.share, ...args]);
  }

  /** The legacy backend as a process; one outcome for each of its answers. */
  async legacyBackend(seat: Seat, ...args: readonly string[]): Promise<OldOutcome[]> {
    const script = join(import.meta.dir, "../../../sim/legacy/backend_main.ts");
    const text = await run(seat, "bun", script, this.share, ...args);
    return text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  }

  /** The entries of a folder of the share, as the server sees them. */
  list(folder: string): string[] {
    return readdirSync(join(this.folder, folder)).filter((name) => !name.startsWith("."));
  }

  /** Over SMB it is gone for a moment while it is replaced. */
  state(agent: string): Record<string, unknown> {
    const path = join(this.folder, "gpu_status", `${agent}_status.json`);
    for (let looks = 0; looks < MAX_LOOKS && !existsSync(path); looks++) Bun.sleepSync(10);
    return JSON.parse(readFileSync(path, "utf8"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#running.map(async (running) => await running.stop("SIGKILL")));
    await Promise.all(this.#ollamas.map(async (ollama) => await ollama.stop()));
    for (const client of this.#mounted) await this.unmount(client);
    await this.#export.close();
    for (const folder of [this.folder, this.#stateDir("")]) rmSync(folder, { recursive: true, force: true });
  }

  #stateDir(name: string): string {
    return join("/disk/state", this.#name, name);
  }

  /** Made for anyone who is to write in it. */
  #ownStateDir(name: string, seat: Seat): string {
    const path = this.#stateDir(name);
    mkdirSync(path, { recursive: true });
    const user = userOf(seat);
    if (user !== null) chownSync(path, userIdOf(user), 0);
    return path;
  }

  #start(seat: Seat, binary: string, args: readonly string[]): Running {
    const child = spawn(seat, [binary, "--share", this.share, "--log-format", "json", ...args]);
    const running = new Running(child, TIMEOUT_MS);
    this.#running.push(running);
    return running;
  }
}

function userIdOf(user: string): number {
  const accounts = readFileSync("/etc/passwd", "utf8").split("\n");
  return Number(accounts.map((line) => line.split(":")).find(([name]) => name === user)?.[2]);
}

/** The legacy backend's result of one list. */
export interface OldOutcome {
  readonly models: unknown[];
  readonly reason: string;
  readonly waitedMs: number;
  readonly polls: number;
}
