// A client with a registry fills the mirror on the share; two others, which cannot reach that registry, pull from there, also
// after the agent of one was killed in the middle.
import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { report } from "#tests/nfs/guest/figures.ts";
import { type Client, spawn } from "#tests/nfs/guest/machines.ts";
import { PROTOCOLS, titleOf } from "#tests/nfs/guest/scope.ts";
import { NetworkSite } from "#tests/nfs/guest/site.ts";
import { Running, until } from "#tests/process/site/site.ts";

const BYTES = 12_000_000;
const REGISTRY = join(import.meta.dir, "guest/programs/registry.ts");
const OLLAMA = join(import.meta.dir, "../../sim/ollama/main.ts");
/** Emulated processes take seconds to start. */
const TIMEOUT_MS = 60_000;
const Offer = z.object({ host: z.string(), model: z.string(), digest: z.string() });

describe.each(PROTOCOLS.map((protocol) => ({ title: titleOf(protocol), protocol })))(
  "$title",
  ({ title, protocol }) => {
    test.concurrent("boxes that cannot reach the registry pull its model from the mirror", async () => {
      await using site = await NetworkSite.open("mirror", protocol);
      await using started = new AsyncDisposableStack();
      const registry = new Running(spawn("c3", ["bun", REGISTRY, String(BYTES)]), TIMEOUT_MS);
      started.defer(async () => void (await registry.stop("SIGKILL")));
      const { host, model, digest } = Offer.parse(await registry.logged('"host"'));
      const begin = async (client: Client, name: string) => {
        const ollama = await startOllama(client, join("/disk/state", `mirror-${protocol}-${name}`), started);
        const args = ["--insecure-registry", host, "--ollama-models", ollama.models, "--preflight", "on"];
        const agent = await site.agent(client, name, ollama, args);
        return { agent, restart: async () => await site.agent(client, name, ollama, args) };
      };
      const killed = await begin("c1", "gpu-1");
      await begin("c2", "gpu-2");

      const add = await site.gpuctl("c3", "mirror", "add", model, "--insecure-registry", host);
      expect(add).toMatchObject({ status: 0 });
      expect((await site.gpuctl("c1", "mirror", "list")).stdout).toContain("mirrored");
      await site.gpuctl("c2", "pull", model, "--all", "--detach");
      await until(() => JSON.stringify(site.state("gpu-1")["jobs"]).includes('"running"'), "it pulls", TIMEOUT_MS);
      await killed.agent.stop("SIGKILL");
      await killed.restart();
      for (const name of ["gpu-1", "gpu-2"]) {
        await until(() => JSON.stringify(site.state(name)["models"]).includes(digest), `${name} has it`, TIMEOUT_MS);
        expect(site.state(name)).toMatchObject({ models: [{ name: model }] });
      }
      await registry.stop();
      const { served } = z.object({ served: z.number() }).parse(await registry.logged('"served"'));
      report(`${title}: ${(served / BYTES).toFixed(3)} copies from the registry for two boxes`);
      expect(served).toBeLessThanOrEqual(BYTES * 1.02);
    }, 300_000);
  },
);

/** The simulated Ollama on a client of its own: it reaches the registry that its agent serves there, and none on another one. */
async function startOllama(client: Client, home: string, started: AsyncDisposableStack) {
  const models = join(home, "models");
  mkdirSync(models, { recursive: true });
  const child = spawn(client, ["bun", OLLAMA, "--models", models]);
  started.defer(() => child.kill("SIGKILL"));
  const { value } = await child.stdout.getReader().read();
  const { url } = z.object({ url: z.string() }).parse(JSON.parse(new TextDecoder().decode(value)));
  return { url, models };
}
