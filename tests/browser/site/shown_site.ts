// A gpu-server before a small fleet to look at, whose boxes this process plays: they take no commands.
import { mkdirSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ShownFleet } from "#sim/fleet/shown.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";

const STEP_MS = 1_000;

export class ShownSite implements AsyncDisposable {
  readonly server: HttpServer;
  readonly #site: ProcessSite;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #receiver: Bun.Server<undefined>;

  private constructor(
    site: ProcessSite,
    server: HttpServer,
    timer: ReturnType<typeof setInterval>,
    receiver: Bun.Server<undefined>,
  ) {
    this.#site = site;
    this.server = server;
    this.#timer = timer;
    this.#receiver = receiver;
  }

  /** Resolves when the server lists all boxes. @param program gpu-server */
  static async open(program: string): Promise<ShownSite> {
    const site = new ProcessSite();
    const startMs = Date.now();
    const fleet = new ShownFleet(startMs);
    const publish = (nowMs: number): number => {
      const states = fleet.next(nowMs);
      for (const state of states) {
        const path = join(site.share, "gpu_status", `${state.agent}_status.json`);
        writeFileSync(`${path}.new`, JSON.stringify(state));
        renameSync(`${path}.new`, path);
      }
      return states.length;
    };
    const count = publish(startMs);
    const timer = setInterval(() => publish(Date.now()), STEP_MS);
    const receiver = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(null, { status: 204 }) });
    fillMirror(join(site.share, "gpu_models"));
    const options = ["--manage-tokens", "--mirror", ...webhookOptions(site.dir, [receiver.url.href])];
    const server = await site.server(options, program);
    await until(async () => {
      const { answer } = await server.call("GET", "/v1/agents");
      return Array.isArray(answer["agents"]) && answer["agents"].length === count;
    }, "the server lists all boxes");
    await useServer(server);
    return new ShownSite(site, server, timer, receiver);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#site.close();
    await this.#receiver.stop(true);
  }
}

/** Models with blobs of their real sizes, which take no space. */
function fillMirror(folder: string): void {
  for (const [family, tag, bytes] of [
    ["phi4", "14b", 9.1e9],
    ["llama3.3", "70b", 42.5e9],
    ["qwen3", "32b", 20.2e9],
  ] as const) {
    const digest = new Bun.CryptoHasher("sha256").update(`${family} ${tag}`).digest("hex");
    const manifest = { schemaVersion: 2, layers: [{ digest: `sha256:${digest}`, size: bytes }] };
    const [models, blobs] = [join(folder, "manifests", "registry.ollama.ai", "library", family), join(folder, "blobs")];
    for (const dir of [models, blobs]) mkdirSync(dir, { recursive: true });
    writeFileSync(join(models, tag), JSON.stringify(manifest));
    writeFileSync(join(blobs, `sha256-${digest}`), "");
    truncateSync(join(blobs, `sha256-${digest}`), bytes);
  }
}

/** Options of gpu-server for webhooks, with a secret in a file of this folder. */
export function webhookOptions(dir: string, urls: readonly string[]): readonly string[] {
  const secret = join(dir, "webhook.secret");
  writeFileSync(secret, `whsec_${Buffer.alloc(32, 1).toString("base64")}\n`, { mode: 0o600 });
  return ["--webhook-secret-file", secret, ...urls.flatMap((url) => ["--webhook", url])];
}

/** Sets active models, and adds tokens and entries of the audit. */
async function useServer(server: HttpServer): Promise<void> {
  const { answer } = await server.call("GET", "/v1/models?sort=name");
  const { models = [] }: { models?: readonly { name: string }[] } = answer;
  const [text = "", vision = ""] = models.filter(({ name }) => /^(?:phi4|gemma3):/.test(name)).map(({ name }) => name);
  await server.call("POST", "/v1/active-models", { type: "text", model: text });
  await server.call("POST", "/v1/active-models", { type: "vision", model: vision });
  await server.call("POST", "/v1/tokens", { name: "grafana", role: "viewer", expires_at: "2099-06-01T23:59:59Z" });
  await server.call("POST", "/v1/tokens", { name: "berlin-team", role: "gp", agents: ["berlin-a1", "berlin-a2"] });
  await server.call("DELETE", "/v1/agents/berlin-c9/models/phi4");
}
