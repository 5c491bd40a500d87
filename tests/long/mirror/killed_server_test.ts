// gpu-server is killed with SIGKILL while it fetches for a pull on a box: the next one fetches only the rest, and starts the pull.
import { expect, test } from "bun:test";
import { RegistrySite } from "#tests/process/site/registry_site.ts";
import { until } from "#tests/process/site/site.ts";
import { caughtUp } from "./unfinished.ts";

const BYTES = 20_000_000;
const BYTES_PER_SECOND = 5_000_000;
const LIMIT_MS = 120_000;

test(
  "a pull via the mirror outlives the gpu-server that was asked for it",
  async () => {
    await using site = await RegistrySite.open();
    const { registry, insecure } = site;
    const model = registry.offer("fetched", { layers: [BYTES, 11_000], bytesPerSecond: BYTES_PER_SECOND });
    const ollama = await site.ollama({ catalog: [{ name: model, layers: [1000] }] });
    await site.agent("gpu-1", ollama.url, ["--mirror", "off", ...insecure]);
    const dying = await site.server(["--mirror", ...insecure]);
    await until(async () => (await dying.call("GET", "/v1/agents/gpu-1")).status === 200, "gpu-1 is seen");
    const body = { kind: "pull", model, agents: ["gpu-1"], via: "mirror" };
    const started = await dying.call("POST", "/v1/jobs", body);
    expect(started).toMatchObject({ status: 202, answer: { jobs: [], fetch: { model } } });
    const path = `/v1/mirror/fetches/${Object(started.answer["fetch"]).id}`;
    const completed = async () => Number((await dying.call("GET", path)).answer["completed_bytes"]);
    await until(async () => (await completed()) > 0.3 * BYTES, "30 % are in the mirror");
    await caughtUp(site, "fetched");
    await dying.process.stop("SIGKILL");
    const before = registry.served("fetched").bytes;

    const next = await site.restart(dying, undefined, ["--mirror", ...insecure]);
    registry.setSpeed("fetched", BYTES_PER_SECOND);
    expect((await next.call("GET", path)).answer).toMatchObject({ model, finished_at: null, requested_by: "gp" });
    // It waits 30 s until it is sure that the first is gone.
    const isOver = async () => {
      const { answer } = await next.call("GET", path);
      return answer["finished_at"] !== null && JSON.stringify(answer["pulls"]).includes('"job":"') && answer;
    };
    const fetch = await until(isOver, "the fetch has ended and the pull is sent", 90_000);
    expect(fetch).toMatchObject({ state: "succeeded", pulls: [{ agent: "gpu-1", code: null }] });
    const { bytes } = registry.served("fetched");
    process.stdout.write(
      `gpu-server killed after ${before} bytes: ${(bytes / BYTES).toFixed(3)} copies from the registry\n`,
    );
    expect(bytes / BYTES).toBeLessThanOrEqual(1.02);
    const [{ job } = { job: "" }]: { job: string }[] = Object(fetch["pulls"]);
    const isPulled = async () => (await next.call("GET", `/v1/jobs/${job}`)).answer["state"] === "succeeded";
    await until(isPulled, "gpu-1 has the model");
  },
  LIMIT_MS,
);
