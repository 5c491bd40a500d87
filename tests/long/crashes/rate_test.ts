// Every step of a pull within a rate: an agent killed there with SIGKILL and started again finishes it, and leaves nothing.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "#sim/registry/registry.ts";
import { ProcessSite, until } from "#tests/process/site/site.ts";
import { MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { openShareWire } from "./share_wire.ts";
import { AGENT, REPLY_TO } from "./wire.ts";

/** The calls of a pull that replaces an older model, in order; `copyModel` and `deleteModel` are called twice. */
const STEPS = ["ollama.pullModel", "ollama.listHelpers", "ollama.copyModel", "ollama.deleteModel"];
const POINTS = STEPS.flatMap((step) => [`before:${step}`, `after:${step}`]);
const KILLED = 128 + 9;
const SIZE = 5_000_000;

test.each(POINTS)(
  "an agent killed %s and started again has the registry's model once, under its own name",
  async (point) => {
    const site = new ProcessSite();
    using folder = new MirrorShare();
    const modelsDir = mkdtempSync(join(tmpdir(), "models-"));
    const registry = await Registry.start();
    const wire = await openShareWire(site);
    try {
      const model_name = registry.offer("m", { layers: [SIZE] });
      folder.model(`${registry.host}/library/m/latest`, ["{}", "old weights"], modelsDir);
      const ollama = await site.ollama({ catalog: [], modelsDir });
      const rate = ["--pull-rate", "50MB/s", "--insecure-registry", registry.host];
      const args = [...rate, "--ollama-models", modelsDir, ...wire.agentArgs];
      const id = "pull_1";
      const dying = await site.crashingAgent(AGENT, ollama.url, { point, id }, args);
      await dying.logged("Ollama is reachable");
      const sent = { command: "pull_model", command_id: id, timestamp: "2025-07-15T17:00:00Z", model_name };
      const addressed = { ...sent, version: 2, agent: AGENT, reply_to: REPLY_TO, ttl_ms: 60_000 };
      await wire.send(id, 2, JSON.stringify(addressed));
      expect(await dying.exited()).toBe(KILLED);
      await site.agent(AGENT, ollama.url, args);
      const haveEnded = async () => JSON.stringify((await wire.state())["jobs"]).includes('"succeeded"');
      await until(haveEnded, "its job has succeeded");
      await until(() => ollama.installed().length === 1, "no helper name is left");
      expect(ollama.installed()).toEqual([model_name]);
      const kept = [...new Bun.Glob("*").scanSync(join(modelsDir, "blobs"))];
      expect(kept).toContain(registry.digests("m")[0]?.replace(":", "-") ?? "");
      expect(kept.length).toBe(2);
      expect(registry.served("m").bytes).toBeLessThan(SIZE * 1.1);
      const state = JSON.stringify(await wire.state());
      expect(state).not.toContain("gpu-courier-mirror");
      expect(state.match(/"succeeded"/g)).toHaveLength(1);
    } finally {
      await site.close();
      await wire.close();
      await registry.stop();
      rmSync(modelsDir, { recursive: true, force: true });
    }
  },
  60_000,
);
