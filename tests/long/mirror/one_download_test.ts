// Ten boxes without a network, one model: its registry sends it once, to the mirror. Beside it, ten plain pulls of the same model.
import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { OllamaProcess } from "#tests/process/site/ollama_process.ts";
import { RegistrySite } from "#tests/process/site/registry_site.ts";
import { Box } from "./boxes.ts";

const BOXES = 10;
/** With a real Ollama as large as the figures are for. */
const BYTES = process.env["OLLAMA_TEST_BINARY"] === undefined ? 20_000_000 : 300_000_000;
const LIMIT_MS = 300_000;
const names = Array.from({ length: BOXES }, (_, index) => `gpu-${index + 1}`);

test(
  `${BOXES} boxes without a network pull a model that its registry has sent once`,
  async () => {
    await using site = await RegistrySite.open();
    const { registry, insecure } = site;
    const model = registry.offer("mirrored", { layers: [BYTES, 11_000] });
    await using boxes = new AsyncDisposableStack();
    for (const name of names) boxes.use(await Box.open(site, name, insecure));

    const startedMs = performance.now();
    const added = await site.gpuctl("mirror", "add", model, ...insecure);
    expect(added).toMatchObject({ status: 0 });
    const addedMs = performance.now() - startedMs;
    const pulled = await site.gpuctl("pull", model, "--all", "--json");
    expect(pulled).toMatchObject({ status: 0 });
    const pulledMs = performance.now() - startedMs - addedMs;

    for (const name of names) {
      expect(site.state(name)["models"]).toMatchObject([{ name: model, digest: registry.manifestDigest("mirrored") }]);
    }
    const copies = registry.served("mirrored").bytes / BYTES;
    const plain = await pullPlainly(site);
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
async function pullPlainly({ registry, dir }: RegistrySite): Promise<{ copies: number; ms: number }> {
  const model = registry.offer("plain", { layers: [BYTES, 11_000] });
  const ollamas = names.map((name) => {
    const home = join(dir, `plain-${name}`);
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
