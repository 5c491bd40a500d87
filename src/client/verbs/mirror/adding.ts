// The verb mirror add: fetches models from their registries into the mirror.
import { asCourierError, ERROR_CODES } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import { normalModelName, parseModelName } from "../../../base/model_name.ts";
import { ExitStatus } from "../../../program/exit.ts";
import { AllowedRegistries } from "../../../program/registry/allowed_registries.ts";
import { ANY_REGISTRY } from "../../../program/registry/registry_host.ts";
import { type Fetched, fetchModel } from "../../../transport/mirror/fetching.ts";
import { RegistrySource } from "../../../transport/mirror/registry_source.ts";
import type { MirrorVerb } from "./verb.ts";

export interface AddChoices {
  readonly fetchRate?: number | undefined;
  readonly insecureRegistry?: readonly string[] | undefined;
}

/** Hours may pass until a model is there. */
const SHOWN_EVERY_MS = 10_000;

/** One after the other: each has its own result, and the exit status is that of the first that failed. */
export async function addToMirror(verb: MirrorVerb, models: readonly string[], choices: AddChoices): Promise<void> {
  const { printer } = verb;
  let status = 0;
  for (const model of models.map(normalModelName)) {
    try {
      const { totalBytes, receivedBytes } = await fetchOne(verb, model, choices);
      if (printer.json)
        printer.documentLine({ model, bytes: receivedBytes, size: totalBytes, code: null, error: null });
      else
        printer.line(
          receivedBytes === 0 ? `${model} is in the mirror` : `${model}: fetched ${formatBytes(receivedBytes)}`,
        );
    } catch (error) {
      const { code, message } = asCourierError(error);
      if (code === "cancelled" || code === "exhausted") throw error;
      if (printer.json) printer.documentLine({ model, bytes: null, size: null, code, error: message });
      else printer.error(error);
      status ||= ERROR_CODES[code].exit;
    }
  }
  if (status !== 0) throw new ExitStatus(status);
}

async function fetchOne({ mirror, io, printer }: MirrorVerb, model: string, choices: AddChoices): Promise<Fetched> {
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
