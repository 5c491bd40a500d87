// Boxes on NATS pull models without internet and without the share: from a gpu-server, and from a folder that they mount.
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProcessSite } from "#tests/process/site/site.ts";
import { NatsServer } from "#tests/support/nats/nats_server.ts";
import { digestOf, MirrorShare } from "#tests/support/sites/mirror_share.ts";

const CONFIG = JSON.stringify({ model_format: "gguf", model_family: "llama", model_type: "1K", file_type: "F32" });
const WEIGHTS = "x".repeat(3_000_000);

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** An Ollama that really fetches. */
async function openBox(site: ProcessSite): Promise<string> {
  const modelsDir = mkdtempSync(join(tmpdir(), "models-"));
  closing.push(() => rmSync(modelsDir, { recursive: true, force: true }));
  return (await site.ollama({ catalog: [], modelsDir })).url;
}

test("a box on NATS pulls from a gpu-server's mirror, another one from a folder, and both show the same model", async () => {
  const [site, mirror, nats] = [new ProcessSite(), new MirrorShare(), await NatsServer.start()];
  closing.push(
    async () => await nats.stop(),
    () => mirror[Symbol.dispose](),
    async () => await site.close(),
  );
  const { text } = mirror.mirrored("registry.ollama.ai/library/phi4/latest", [CONFIG, WEIGHTS]);
  const server = await site.server(["--transport", nats.url, "--serve-mirror", "--mirror-folder", mirror.share]);
  const added = ["token", "add", "gpu-1", "--role", "mirror", "--state-dir", site.stateDirOfServer(server)];
  const tokenFile = join(site.dir, "mirror.token");
  writeFileSync(tokenFile, (await site.run("server.ts", added)).stdout, { mode: 0o600 });
  const ways = {
    "gpu-1": ["--mirror-url", `${server.url}/mirror`, "--mirror-token-file", tokenFile],
    "gpu-2": ["--mirror-folder", mirror.share],
  };
  for (const [name, way] of Object.entries(ways)) {
    const args = ["--transport", nats.url, "--log-format", "json", "--state-dir", site.stateDirOf(name)];
    const agent = site.start("agent.ts", [
      ...args,
      "--name",
      name,
      "--ollama",
      await openBox(site),
      "--mirror",
      "only",
      ...way,
    ]);
    await agent.logged("Ready");
  }
  const pulled = await site.gpuctl("pull", "phi4", "--all", "--transport", nats.url);
  expect(pulled).toMatchObject({ status: 0 });
  const digest = digestOf(text).slice("sha256:".length);
  for (const name of Object.keys(ways)) {
    const listed = await site.gpuctl("list", "--agent", name, "--transport", nats.url, "--json");
    expect(listed.stdout).toContain(digest);
  }
});
