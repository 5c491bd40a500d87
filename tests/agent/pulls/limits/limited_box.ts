// A box whose pulls keep to a rate, beside a registry and an Ollama that really fetches.
import type { Registry } from "#sim/registry/registry.ts";
import { LimitedSources } from "#src/agent/pulls/limits/limited_sources.ts";
import { MirroredOllama } from "#src/agent/pulls/mirror/mirrored_ollama.ts";
import type { BytesFinder } from "#src/agent/pulls/mirror/model_bytes.ts";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { AllowedRegistries } from "#src/program/registry/allowed_registries.ts";
import { RateLimit } from "#src/program/registry/rate_limit.ts";
import { RegistrySource } from "#src/transport/mirror/registry_source.ts";
import { PullSite, simulatedSubject } from "#tests/support/sites/pull_site.ts";

export function sourceOf(...insecure: readonly string[]): RegistrySource {
  return new RegistrySource({ registries: new AllowedRegistries({ agent: "gpu-1", allowed: ["*"], insecure }) });
}

export function limitedTo(bytesPerSecond: number, registry: Registry): LimitedSources {
  const limit = new RateLimit(bytesPerSecond, systemClock);
  return new LimitedSources({ sources: null, registry: sourceOf(registry.host), limit, skipped: [] });
}

export async function openLimitedBox(bytesPerSecond: number): Promise<PullSite> {
  const opened = Promise.withResolvers<BytesFinder>();
  const sources: BytesFinder = {
    bytesOf: async (model, signal) => await (await opened.promise).bytesOf(model, signal),
  };
  const box = await PullSite.open(await simulatedSubject(), (ollama) => {
    return new MirroredOllama({ ollama, sources, log: silentLog });
  });
  opened.resolve(limitedTo(bytesPerSecond, box.registry));
  return box;
}
