// The verb published_model: what an agent reads of its registries for others.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { Registry as SimulatedRegistry } from "#sim/registry/registry.ts";
import { readPublished } from "#src/agent/models/published.ts";
import { AllowedRegistries } from "#src/program/registry/allowed_registries.ts";
import { Registry } from "#src/program/registry/registry.ts";
import { failure } from "#tests/support/failure.ts";
import { MemorySite } from "#tests/support/sites/agent_on_memory.ts";

let simulated: SimulatedRegistry;
beforeEach(async () => {
  simulated = await SimulatedRegistry.start();
});
afterEach(async () => await simulated.stop());

function parts(insecure: readonly string[] = [simulated.host]) {
  const registries = new AllowedRegistries({ agent: "gpu-1", allowed: ["registry.ollama.ai"], insecure });
  return { registries, registry: new Registry({ registries }) };
}

test("it returns the digest and the sizes of the manifest as it is now", async () => {
  const name = simulated.offer("phi4", { layers: [2_000, 30] });
  const { published } = await readPublished(name, parts());
  expect(published).toMatchObject({ digest: simulated.manifestDigest("phi4"), weights_bytes: 2_000 });
  expect(published?.total_bytes).toBeGreaterThan(2_030);
});

test("it names why it cannot: no such model, a registry that is not allowed, or none that is asked", async () => {
  const name = simulated.offer("phi4", { layers: [10] });
  const failures = await Promise.all([
    failure(readPublished(`${simulated.host}/library/none:latest`, parts())),
    failure(readPublished(name, parts([]))),
    failure(readPublished(name, { ...parts(), registry: null })),
  ]);
  expect(failures.map(({ code }) => code)).toEqual(["not_found", "forbidden", "unavailable"]);
  expect(simulated.manifestRequests("phi4")).toBe(0);
});

test("an agent answers it", async () => {
  const site = new MemorySite();
  await site.listen({ replyTo: "tester" });
  await site.start("gpu-1", {});
  await site.command("gpu-1", "asked", { command: "published_model", model_name: "phi4:latest" });
  for (let i = 0; i < 400 && !site.replies.has("asked"); i++) await Bun.sleep(5);
  // The agents of these tests ask no registry.
  expect(site.replies.get("asked")).toMatchObject({ success: false, code: "unavailable" });
  await site.close();
});
