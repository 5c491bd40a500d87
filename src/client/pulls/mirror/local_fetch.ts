// Fetches a model into the mirror from this machine.
import { formatBytes } from "../../../base/format.ts";
import { parseModelName } from "../../../base/model_name.ts";
import { AllowedRegistries } from "../../../program/registry/allowed_registries.ts";
import { ANY_REGISTRY } from "../../../program/registry/registry_host.ts";
import { type Fetched, fetchModel } from "../../../transport/mirror/fetching.ts";
import type { Mirror } from "../../../transport/mirror/mirror.ts";
import { RegistrySource } from "../../../transport/mirror/registry_source.ts";
import type { ClientIo } from "../../io.ts";
import type { Printer } from "../../output/printer.ts";

export interface FetchChoices {
  readonly fetchRate?: number | undefined;
  readonly insecureRegistry?: readonly string[] | undefined;
}

/** Hours may pass until a model is there. */
export const SHOWN_EVERY_MS = 10_000;

/** @throws CourierError as `fetchModel()` */
export async function fetchHere(
  { mirror, io, printer }: { readonly mirror: Mirror; readonly io: ClientIo; readonly printer: Printer },
  model: string,
  choices: FetchChoices = {},
): Promise<Fetched> {
  const { clock, signal } = io;
  let shownAtMs = clock.monotonic();
  const onProgress = ({ completedBytes, totalBytes }: Fetched): void => {
    if (clock.monotonic() - shownAtMs < SHOWN_EVERY_MS) return;
    shownAtMs = clock.monotonic();
    printer.note(`${model}: ${formatBytes(completedBytes)} of ${formatBytes(totalBytes)}`);
  };
  const insecure = choices.insecureRegistry ?? [];
  const registries = new AllowedRegistries({ agent: "this machine", allowed: [ANY_REGISTRY], insecure });
  const source = new RegistrySource({ registries });
  const bytesPerSecond = choices.fetchRate ?? null;
  return await fetchModel(parseModelName(model), { mirror, source, clock, signal, bytesPerSecond, onProgress });
}
