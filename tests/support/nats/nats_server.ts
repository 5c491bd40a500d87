// A real nats-server with JetStream on a port of its own, which a test can kill, restart and stop in its tracks.
import { randomInt } from "node:crypto";
import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { memoryDir } from "#tests/support/memory_dir.ts";
import { until } from "#tests/support/until.ts";
import { findNatsServer } from "./nats_binary.ts";

/** Far more than a start takes on an idle machine. */
const START_LIMIT_MS = 30_000;
/** Below those that the system gives to connections: none of these takes the port while the server is down. */
const PORTS: readonly [first: number, end: number] = [20_000, 32_000];
/** It logs this once it accepts connections. */
const READY = "Server is ready";
const PORT_TAKEN = "address already in use";

/** Those under way. A test process that ends without stopping them must not leave them behind. */
const underWay = new Set<Bun.Subprocess>();
process.on("exit", () => {
  for (const each of underWay) each.kill("SIGKILL");
});

function isStopped(path: string): boolean {
  // "123 (nats-server) T 1 …"
  return readFileSync(path, "utf8").split(") ").at(-1)?.startsWith("T") === true;
}

export interface NatsServerOptions {
  /** Added to the text of its configuration: accounts, TLS, a cluster. */
  readonly config?: string;
  /** Files beside the configuration, by name, for it to include. */
  readonly files?: Readonly<Record<string, string>>;
  /** Where its store is; the caller removes it. Without it a folder in memory. */
  readonly dir?: string;
}

export class NatsServer {
  readonly port: number;
  readonly #binary: string;
  readonly #dir: string;
  readonly #isOwnDir: boolean;
  #process: Bun.Subprocess | undefined;

  private constructor(port: number, binary: string, options: NatsServerOptions) {
    this.port = port;
    this.#binary = binary;
    this.#isOwnDir = options.dir === undefined;
    this.#dir = options.dir ?? memoryDir("gpu-courier-nats-");
  }

  /** @throws Error with the server's log when it does not start */
  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const binary = await findNatsServer();
    if (binary === undefined) throw new Error("No nats-server here. Run it with: npm run test:nats");
    for (;;) {
      const server = new NatsServer(randomInt(...PORTS), binary, options);
      try {
        await server.#configure(options);
        await server.restart();
        return server;
      } catch (error) {
        await server.stop();
        if (!(error instanceof Error && error.message.includes(PORT_TAKEN))) throw error;
      }
    }
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Of the process; undefined while none runs. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Starts it again, on the same port and store; resolves once it accepts connections. Ends the one that still runs. */
  async restart(): Promise<void> {
    await this.kill();
    const log = this.#path("log");
    // Its own option for a log file leaves out what is wrong with the configuration.
    const descriptor = openSync(log, "a");
    const { size: begin } = fstatSync(descriptor);
    const child = Bun.spawn([this.#binary, "--config", this.#path("conf")], {
      stdio: ["ignore", descriptor, descriptor],
      onExit: (ended) => void underWay.delete(ended),
    });
    closeSync(descriptor);
    underWay.add(child);
    this.#process = child;
    const deadlineMs = performance.now() + START_LIMIT_MS;
    for (;;) {
      const hasEnded = child.exitCode !== null;
      const text = await Bun.file(log).slice(begin).text();
      if (text.includes(READY)) return;
      if (hasEnded || performance.now() > deadlineMs)
        throw new Error(`nats-server does not start:\n${text.slice(-2000)}`);
      await Bun.sleep(5);
    }
  }

  /** Ends it at once, as a power cut does to the process: no goodbye to anybody. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
    this.#process = undefined;
  }

  /** Stops it where it is: it keeps its connections and answers nothing. Linux only. */
  async pause(): Promise<void> {
    if (this.#process === undefined) return;
    this.#process.kill("SIGSTOP");
    // Each of its threads takes its own time.
    const tasks = `/proc/${this.#process.pid}/task`;
    await until(() => readdirSync(tasks).every((id) => isStopped(join(tasks, id, "stat"))));
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    await this.kill();
    if (this.#isOwnDir) rmSync(this.#dir, { recursive: true, force: true });
  }

  #path(name: string): string {
    return join(this.#dir, `nats.${name}`);
  }

  async #configure({ config = "", files = {} }: NatsServerOptions): Promise<void> {
    mkdirSync(this.#dir, { recursive: true });
    for (const [name, text] of Object.entries(files)) await Bun.write(join(this.#dir, name), text);
    const text = `listen: "127.0.0.1:${this.port}"
max_payload: 8MB
jetstream { store_dir: ${JSON.stringify(join(this.#dir, "store"))}, sync_interval: always }
${config}
`;
    await Bun.write(this.#path("conf"), text);
  }
}
