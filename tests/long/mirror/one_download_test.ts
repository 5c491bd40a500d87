// Ten boxes without a network, one model: its registry sends it once, to the mirror. Beside it, ten plain pulls of the same model.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Registry } from "#sim/registry/registry.ts";
import { OllamaProcess } from "#tests/process/site/ollama_process.ts";
import { ProcessSite } from "#tests/process/site/site.ts";
import { Box } from "./boxes.ts";

const BOXES = 10;
/** With a real Ollama as large as the figures are for. */
const BYTES = process.env["OLLAMA_TEST_BINARY"] === undefined ? 20_000_000 : 300_000_000;
const LIMIT_MS = 300_000;
const names = Array.from({ length: BOXES }, (_, index) => `gpu-${index + 1}`);

let site: ProcessSite;
let registry: Registry;
beforeAll(async () => {
  site = new ProcessSite();
  registry = await Registry.start();
});
afterAll(async () => {
  await site.close();
  await registry.stop();
});

test(
  `${BOXES} boxes without a network pull a model that its registry has sent once`,
  async () => {
    const model = registry.offer("mirrored", { layers: [BYTES, 11_000] });
    await using boxes = new AsyncDisposableStack();
    for (const name of names) boxes.use(await Box.open(site, name, ["--insecure-registry", registry.host]));

    const startedMs = performance.now();
    const added = await site.gpuctl("mirror", "add", model, "--insecure-registry", registry.host);
    expect(added).toMatchObject({ status: 0 });
    const addedMs = performance.now() - startedMs;
    const pulled = await site.gpuctl("pull", model, "--all", "--json");
    expect(pulled).toMatchObject({ status: 0 });
    const pulledMs = performance.now() - startedMs - addedMs;

    for (const name of names) {
      expect(site.state(name)["models"]).toMatchObject([{ name: model, digest: registry.manifestDigest("mirrored") }]);
    }
    const copies = registry.served("mirrored").bytes / BYTES;
    const plain = await pullPlainly();
    process.stdout.write(
      `${BOXES} boxes, ${BYTES / 1e6} MB: ${copies.toFixed(3)} copies from the registry by the mirror (${seconds(addedMs)} to fetch, ` +
        `${seconds(pulledMs)} to pull on all), ${plain.copies.toFixed(3)} by plain pulls (${seconds(plain.ms)})\n`,
    );
    expect(copies).toBeLessThanOrEqual(1.02);
    expect(plain.copies).toBeGreaterThanOrEqual(BOXES);
  },
  LIMIT_MS,
);

/** The same number of Ollamas with a network, each of which pulls from the registry. */
async function pullPlainly(): Promise<{ copies: number; ms: number }> {
  const model = registry.offer("plain", { layers: [BYTES, 11_000] });
  const ollamas = names.map((name) => {
    const home = join(site.dir, `plain-${name}`);
    mkdirSync(home);
    return new OllamaProcess(home);
  });
  for (const ollama of ollamas) await ollama.start();
  const startedMs = performance.now();
  await Promise.all(ollamas.map(async ({ url }) => await pull(url, model)));
  const ms = performance.now() - startedMs;
  for (const ollama of ollamas) await ollama.kill();
  return { copies: registry.served("plain").bytes / BYTES, ms };
}

async function pull(url: string, model: string): Promise<void> {
  const body = JSON.stringify({ model, insecure: true, stream: false });
  const response = await fetch(`${url}/api/pull`, { method: "POST", body });
  expect(await response.json()).toEqual({ status: "success" });
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
