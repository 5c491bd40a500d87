// Fetches a model into the mirror from this machine.
import { CourierError } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import { parseModelName } from "../../../base/model_name.ts";
import { AllowedRegistries } from "../../../program/registry/allowed_registries.ts";
import type { RegistryChoices } from "../../../program/registry/flags.ts";
import { ANY_REGISTRY } from "../../../program/registry/registry_host.ts";
import { type Fetched, fetchModel } from "../../../transport/mirror/fetching.ts";
import type { Mirror } from "../../../transport/mirror/mirror.ts";
import { ratedSource } from "../../../transport/mirror/rated_source.ts";
import { RegistrySource } from "../../../transport/mirror/registry_source.ts";
import type { ClientIo } from "../../io.ts";
import type { Printer } from "../../output/printer.ts";

export interface FetchChoices extends RegistryChoices {
  readonly fetchRate?: number | undefined;
}

/** Hours may pass until a model is there. */
export const SHOWN_EVERY_MS = 10_000;

/**
 * From the registry that the model's name has: it was typed. `--allow-registry` limits that.
 * @throws CourierError as `fetchModel()`
 */
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
  const { allowRegistry: allowed = [ANY_REGISTRY], insecureRegistry: insecure = [] } = choices;
  const registries = new AllowedRegistries({ agent: "this machine", allowed, insecure });
  if (!registries.allows(model)) throw notAllowed(parseModelName(model).host, allowed);
  const source = ratedSource(new RegistrySource({ registries }), choices.fetchRate ?? null, clock);
  return await fetchModel(parseModelName(model), { mirror, source, clock, signal, onProgress });
}

/** As `error`, with the model that its message may not name. */
export function cannotFetch(model: string, error: CourierError): CourierError {
  const { code, message, hint, saidBy } = error;
  // Some begin so themselves: "Cannot fetch phi4:latest: 9.1 GB needed …".
  const text = message.startsWith("Cannot ") ? message : `Cannot fetch ${model} into the mirror: ${message}`;
  return new CourierError(code, text, { hint, saidBy, cause: error });
}

function notAllowed(host: string, allowed: readonly string[]): CourierError {
  return new CourierError(
    "forbidden",
    `${host} is not among the registries of --allow-registry: ${allowed.join(", ")}`,
    {
      hint: `Add --allow-registry ${host}`,
    },
  );
}
