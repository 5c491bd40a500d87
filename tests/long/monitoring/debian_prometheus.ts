// A real Prometheus: the one of this machine, or Debian's package, which is fetched and only unpacked.
import { mkdirSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { until } from "#tests/process/site/site.ts";
import { APT_GET, run, searchPath, updateOr } from "#tests/support/debian.ts";

const PACKAGE = "prometheus";

/** @returns the path of `prometheus` or `promtool`. @throws Error naming what is missing */
export async function prometheusTool(name: "prometheus" | "promtool"): Promise<string> {
  const installed = Bun.which(name, { PATH: searchPath() });
  if (installed !== null) return installed;
  const cache = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "gpu-courier", PACKAGE);
  mkdirSync(cache, { recursive: true });
  const unpacked = join(cache, "unpacked/usr/bin", name);
  if (!(await Bun.file(unpacked).exists())) await unpack(cache);
  return unpacked;
}

/** Its dependencies are for its web pages: the programs need only libc. */
async function unpack(cache: string): Promise<void> {
  if (Bun.which("apt-get", { PATH: searchPath() }) === null)
    throw new Error("No Prometheus here, and no apt-get to fetch Debian's: install prometheus and promtool");
  const download = async (): Promise<string> => await run([...APT_GET, "download", PACKAGE], { cwd: cache });
  await download().catch(async (error: unknown) => {
    await updateOr(error instanceof Error ? error.message : String(error), []);
    await download();
  });
  const file = readdirSync(cache).find((name) => name.startsWith(`${PACKAGE}_`) && name.endsWith(".deb"));
  if (file === undefined) throw new Error(`apt-get fetched no ${PACKAGE} into ${cache}`);
  await run(["dpkg-deb", "-x", join(cache, file), join(cache, "unpacked")]);
}

/** A server that scrapes by a configuration, on a port of its own. */
export class Prometheus implements AsyncDisposable {
  readonly url: string;
  readonly #child: Bun.Subprocess<"ignore", "ignore", Bun.BunFile>;

  private constructor(url: string, child: Bun.Subprocess<"ignore", "ignore", Bun.BunFile>) {
    this.url = url;
    this.#child = child;
  }

  /** @param dir for its data; holds `prometheus.yml` */
  static async start(dir: string): Promise<Prometheus> {
    const log = Bun.file(join(dir, "prometheus.log"));
    const port = freePort();
    const child = Bun.spawn(
      [
        await prometheusTool("prometheus"),
        `--config.file=${join(dir, "prometheus.yml")}`,
        `--storage.tsdb.path=${join(dir, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { cwd: dir, stdin: "ignore", stdout: "ignore", stderr: log },
    );
    const prometheus = new Prometheus(`http://127.0.0.1:${port}`, child);
    const isReady = async (): Promise<boolean> => {
      if (child.exitCode !== null) throw new Error(`Prometheus ended:\n${await log.text()}`);
      return await fetch(`${prometheus.url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    };
    await until(isReady, "Prometheus is ready");
    return prometheus;
  }

  /** The value of each series of an instant query. @throws Error with its reason when the query is wrong */
  async query(expression: string): Promise<{ metric: Record<string, string>; value: number }[]> {
    const { result } = await this.get<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
      `/api/v1/query?${new URLSearchParams({ query: expression }).toString()}`,
    );
    return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  async get<Data>(path: string): Promise<Data> {
    const response = await fetch(`${this.url}${path}`);
    const text = await response.text();
    const answer: { status: string; data: Data; error?: string } = JSON.parse(text);
    if (answer.status !== "success") throw new Error(`${decodeURIComponent(path)}: ${answer.error}`);
    return answer.data;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }
}

/** Prometheus does not report the port that it got for 0. */
function freePort(): number {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  server.stop(true);
  return server.port;
}
