// The system under load: a share in a temp folder, or a nats-server, agent and server as binaries, a simulated Ollama; all as processes of their own.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { cachedBinary, ROOT } from "../binaries.ts";
import { Child } from "../children.ts";

export const AGENT = "gpu-1";
/** At this speed its pull outlasts every soak: half a year. */
export const PULLING = "soak:endless";
const PULLING_BYTES = 1e12;
const BYTES_PER_SECOND = 65_536;

export class SoakSite {
  /** Of the transport. */
  readonly address: string;
  readonly token: string;
  readonly serverUrl: string;
  readonly agent: Child;
  readonly server: Child;
  readonly #ollama: Child;

  private constructor(address: string, token: string, serverUrl: string, children: readonly [Child, Child, Child]) {
    this.address = address;
    this.token = token;
    this.serverUrl = serverUrl;
    [this.#ollama, this.agent, this.server] = children;
  }

  /** @param dir is made, and stays @param natsUrl null: a share in it */
  static async open(dir: string, natsUrl: string | null): Promise<SoakSite> {
    const share = join(dir, "share");
    mkdirSync(share, { recursive: true });
    const where = natsUrl === null ? ["--share", share, "--init"] : ["--transport", natsUrl];
    const models = ["--installed", "bench:latest=1000", "--model", `${PULLING}=${PULLING_BYTES}`];
    const main = join(ROOT, "sim/ollama/main.ts");
    const ollama = new Child([process.execPath, main, "--speed", String(BYTES_PER_SECOND), ...models], dir);
    const { url } = await ollama.line('"url"');
    const settings = (name: string): readonly string[] => {
      return [...where, "--state-dir", join(dir, name), "--log-format", "json"];
    };
    const own = ["--name", AGENT, "--ollama", String(url)];
    const agent = new Child([await cachedBinary("gpu-agent"), ...settings("agent"), ...own], dir);
    await agent.line('"Ollama is reachable"');
    const gpuServer = await cachedBinary("gpu-server");
    const add = ["token", "add", "soak", "--role", "gp", "--state-dir", join(dir, "server")];
    const token = (await new Child([gpuServer, ...add], dir).finished()).output.trim();
    const server = new Child([gpuServer, ...settings("server"), "--port", "0"], dir);
    const { url: serverUrl } = await server.line('"Listening"');
    await server.line('"Reached the share"');
    return new SoakSite(natsUrl ?? share, token, String(serverUrl), [ollama, agent, server]);
  }

  async close(): Promise<void> {
    for (const child of [this.server, this.agent, this.#ollama]) await child.stop();
  }
}
