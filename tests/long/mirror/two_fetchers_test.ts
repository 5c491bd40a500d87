// gpu-server and an agent fetch one model at the same time, as two processes: the registry sends it once.
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { RegistrySite } from "#tests/process/site/registry_site.ts";
import { until } from "#tests/process/site/site.ts";
import { MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { unfinishedBytes } from "./unfinished.ts";

const BYTES = 30_000_000;
const LIMIT_MS = 120_000;

test(
  "of two fetchers at once each blob is fetched by one, and imports and gc take nothing away from them",
  async () => {
    await using site = await RegistrySite.open();
    const { registry, insecure } = site;
    const model = registry.offer("both", { layers: [BYTES, BYTES / 3, 1000], bytesPerSecond: 5_000_000 });
    const { url } = await site.ollama({});
    await site.agent("gpu-3", url, ["--mirror-source", ...insecure]);
    const server = await site.server(["--mirror", ...insecure]);
    const asked = site.start("client.ts", ["--share", site.share, "mirror", "add", model, "--agent", "gpu-3"]);
    const fetched = await server.call("POST", "/v1/mirror/fetches", { model });
    expect(fetched.status).toBe(202);
    await until(() => unfinishedBytes(site.share) > 0.2 * BYTES, "a part is in the mirror");

    using other = new MirrorShare();
    other.model("registry.ollama.ai/library/phi4/latest", ["config", "weights"]);
    expect(await site.gpuctl("mirror", "import", other.models)).toMatchObject({ status: 0 });
    expect(await site.gpuctl("mirror", "gc")).toMatchObject({ status: 0, stdout: "nothing to remove\n" });

    expect(await asked.exited()).toBe(0);
    const isDone = async (): Promise<boolean> => {
      const { answer } = await server.call("GET", `/v1/mirror/fetches/${String(fetched.answer["id"])}`);
      if (answer["state"] === "failed") throw new Error(String(answer["error"]));
      return answer["state"] === "succeeded";
    };
    await until(isDone, "gpu-server's fetch has succeeded");
    const copies = registry.served("both").bytes / (BYTES + BYTES / 3 + 1000);
    process.stdout.write(`gpu-server and an agent fetch one model: ${copies.toFixed(3)} copies from the registry\n`);
    expect(copies).toBeLessThanOrEqual(1.02);
    const { models } = JSON.parse((await site.gpuctl("mirror", "list", "--json")).stdout);
    expect(models).toMatchObject([{ missing_blobs: 0 }, { missing_blobs: 0 }]);
    expect(readdirSync(join(site.share, "gpu_models", ".tmp"))).toEqual([]);
  },
  LIMIT_MS,
);
