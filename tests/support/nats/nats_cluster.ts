// Three nats-servers that keep each entry together, on ports of this machine.
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { connect } from "@nats-io/transport-node";
import { type BucketName, Layout } from "#src/transport/nats/layout.ts";
import { until } from "#tests/support/until.ts";
import { NatsServer } from "./nats_server.ts";

export const SERVERS = 3;
const NAME = "s";

export class NatsCluster {
  readonly servers: readonly NatsServer[];

  private constructor(servers: readonly NatsServer[]) {
    this.servers = servers;
  }

  static async start(): Promise<NatsCluster> {
    const routes = await freePorts(SERVERS);
    const all = routes.map((port) => `nats://127.0.0.1:${port}`).join(", ");
    const servers = await Promise.all(
      routes.map(async (port, number) => {
        const cluster = `cluster { name: tests, listen: "127.0.0.1:${port}", routes: [${all}] }`;
        return await NatsServer.start({ config: `server_name: ${NAME}${number}\n${cluster}` });
      }),
    );
    const cluster = new NatsCluster(servers);
    // They have agreed on who leads, and that one knows that all are there.
    const trial = JSON.stringify({ name: "trial", subjects: ["trial"], storage: "memory", num_replicas: SERVERS });
    await until(async () => (await cluster.#ask("$JS.API.STREAM.CREATE.trial", trial)) !== null);
    await until(async () => (await cluster.#ask("$JS.API.STREAM.DELETE.trial")) !== null);
    return cluster;
  }

  get ports(): readonly number[] {
    return this.servers.map(({ port }) => port);
  }

  /** As an address of a transport. */
  get url(): string {
    return `nats://${this.ports.map((port) => `127.0.0.1:${port}`).join(",")}`;
  }

  /** The server that leads a bucket; waits until one does. */
  async leader(bucket: BucketName): Promise<NatsServer> {
    let leader: NatsServer | undefined;
    await until(async () => {
      const about = await this.#ask(`$JS.API.STREAM.INFO.${new Layout().stream(bucket)}`);
      leader = this.servers[Number(about?.cluster?.leader?.slice(NAME.length))];
      return leader !== undefined;
    });
    if (leader === undefined) throw new Error(`Nobody leads ${bucket}`);
    return leader;
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map(async (server) => await server.stop()));
  }

  /** @returns null while nobody answers, or with a failure */
  async #ask(subject: string, text?: string): Promise<About | null> {
    const nats = await connect({ servers: this.ports.map((port) => `127.0.0.1:${port}`) });
    try {
      const about = (await nats.request(subject, text, { timeout: 5_000 })).json<About>();
      return about.error === undefined ? about : null;
    } catch {
      return null;
    } finally {
      await nats.close();
    }
  }
}

interface About {
  readonly error?: object;
  readonly cluster?: { readonly leader?: string };
}

/** Below those that the system gives to connections, as NatsServer's own. */
async function freePorts(count: number): Promise<readonly number[]> {
  const free = new Set<number>();
  while (free.size < count) {
    const port = randomInt(20_000, 32_000);
    if (await isFree(port)) free.add(port);
  }
  return [...free];
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const isListening = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (isListening) await new Promise((resolve) => server.close(resolve));
  return isListening;
}
