// Every step of a pull from the mirror: an agent killed there with SIGKILL and started again finishes it, and leaves nothing.
import { expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProcessSite, until } from "#tests/process/site/site.ts";
import { MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { openShareWire } from "./share_wire.ts";
import { AGENT, REPLY_TO, type Wire } from "./wire.ts";

/**
 * The calls of a pull from the mirror that replaces an older model, in order. It copies twice, the older one first, and deletes
 * what it copied, and in the end the helper name.
 */
const STEPS = [
  "ollama.pullModel",
  "ollama.listHelpers",
  "ollama.copyModel",
  "ollama.copyModel:2",
  "ollama.deleteModel",
  "ollama.deleteModel:2",
];
const POINTS = STEPS.flatMap((step) => [`before:${step}`, `after:${step}`]);
const KILLED = 128 + 9;
const MODEL = "phi4:latest";
const CONFIG = JSON.stringify({ model_format: "gguf", model_family: "llama", model_type: "1K", file_type: "F32" });

test.each(POINTS)(
  "an agent killed %s and started again has the model once, under its own name",
  async (point) => {
    const site = new ProcessSite();
    using mirror = new MirrorShare();
    const modelsDir = mkdtempSync(join(tmpdir(), "models-"));
    const wire = await openShareWire(site);
    try {
      const path = "registry.ollama.ai/library/phi4/latest";
      // Installed from before, with other weights.
      mirror.model(path, [CONFIG, "old weights"], modelsDir);
      const { blobs } = mirror.model(path, [CONFIG, "x".repeat(5_000_000)]);
      cpSync(mirror.models, join(site.share, "gpu_models"), { recursive: true });
      const ollama = await site.ollama({ catalog: [], modelsDir });
      const args = ["--mirror", "only", "--ollama-models", modelsDir, ...wire.agentArgs];
      const id = "pull_1";
      const dying = await site.crashingAgent(AGENT, ollama.url, { point, id }, args);
      await dying.logged("Ollama is reachable");
      await sendPull(wire, id);
      expect(await dying.exited()).toBe(KILLED);
      await site.agent(AGENT, ollama.url, args);
      const haveEnded = async () => JSON.stringify((await wire.state())["jobs"]).includes('"succeeded"');
      await until(haveEnded, "its job has succeeded");
      await until(() => ollama.installed().length === 1, "no helper name is left");
      expect(ollama.installed()).toEqual([MODEL]);
      const kept = [...new Bun.Glob("*").scanSync(join(modelsDir, "blobs"))].toSorted((a, b) => a.localeCompare(b));
      const wanted = [...blobs.keys()].map((digest) => digest.replace(":", "-"));
      expect(kept).toEqual(wanted.toSorted((a, b) => a.localeCompare(b)));
      const state = JSON.stringify(await wire.state());
      expect(state).not.toContain("gpu-courier-mirror");
      expect(state.match(/"succeeded"/g)).toHaveLength(1);
    } finally {
      await site.close();
      await wire.close();
      rmSync(modelsDir, { recursive: true, force: true });
    }
  },
  60_000,
);

async function sendPull(wire: Wire, id: string): Promise<void> {
  const command = { command: "pull_model", command_id: id, timestamp: "2025-07-15T17:00:00Z", model_name: MODEL };
  await wire.send(id, 2, JSON.stringify({ ...command, version: 2, agent: AGENT, reply_to: REPLY_TO, ttl_ms: 60_000 }));
}
