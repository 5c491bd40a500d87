// Every step of a prune: an agent killed there with SIGKILL and started again has removed what is left over, and nothing else.
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProcessSite } from "#tests/process/site/site.ts";
import { digestOf, MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { killedAtEach, pointsOf } from "./one_verb.ts";

const STEPS = [
  "receive",
  "ledger.read",
  "transport.isUnchanged",
  "ledger.start",
  "ledger.respond",
  "transport.publishState",
  "transport.respond",
  "transport.release",
];
const CONFIG = JSON.stringify({ model_format: "gguf", model_family: "llama", model_type: "1K", file_type: "F32" });

test("an agent killed at any step of a prune and started again has removed what is left over, and answers once", async () => {
  const site = new ProcessSite();
  using share = new MirrorShare();
  const modelsDir = mkdtempSync(join(tmpdir(), "models-"));
  try {
    const { blobs } = share.model("registry.ollama.ai/library/phi4/latest", [CONFIG, "weights"], modelsDir);
    const { url: ollamaUrl } = await site.ollama({ catalog: [], modelsDir });
    // The first is there before the first agent, each other one before the next.
    orphan(modelsDir, 0);
    const { answers } = await killedAtEach(site, {
      verb: "prune",
      points: pointsOf(STEPS),
      fields: () => ({ arguments: { orphans: true } }),
      ollamaUrl,
      agentArgs: ["--ollama-models", modelsDir],
      // A change of any kind within an hour protects a file.
      aheadMs: 7_200_000,
      afterDeath: (attempt) => orphan(modelsDir, attempt + 1),
    });
    for (const answer of answers) expect(answer).toMatchObject({ success: true });
    // That of the next command, which never came.
    rmSync(join(modelsDir, "blobs", nameOf(pointsOf(STEPS).length)), { force: true });
    const kept = readdirSync(join(modelsDir, "blobs")).toSorted();
    expect(kept).toEqual([...blobs.keys()].map((digest) => digest.replace(":", "-")).toSorted());
  } finally {
    await site.close();
    rmSync(modelsDir, { recursive: true, force: true });
  }
}, 180_000);

/** A whole blob without a model. */
function orphan(modelsDir: string, number: number): void {
  const blobs = join(modelsDir, "blobs");
  mkdirSync(blobs, { recursive: true });
  writeFileSync(join(blobs, nameOf(number)), contentOf(number));
}

function nameOf(number: number): string {
  return digestOf(contentOf(number)).replace(":", "-");
}

function contentOf(number: number): string {
  return `orphan ${number}`;
}
