// Models as Ollama describes them, made from what a box publishes. Its clients break at fields that are missing or null: the
// command line ends with a panic at a short digest.

import { parseModelName } from "../../base/model_name.ts";
import type { FleetModel } from "../../courier/fleet_model.ts";
import type { FleetRunning } from "../../courier/running.ts";
import type { Model, ModelDetails } from "../../protocol.ts";

const NO_DETAILS = {
  parent_model: "",
  format: "",
  family: "",
  families: null,
  parameter_size: "",
  quantization_level: "",
} as const;
/** Of a model whose box does not say: older ones send none for what is in memory. */
const NO_DIGEST = "0".repeat(64);
/** Go's zero time, which Ollama's clients know as unknown. */
const NO_TIME = "0001-01-01T00:00:00Z";

export function listedModel({ name, modified_at, size, digest, details, capabilities, ...remote }: Model): object {
  const { remote_model, remote_host } = remote;
  return {
    name,
    model: name,
    ...(remote_model === undefined ? {} : { remote_model }),
    ...(remote_host === undefined ? {} : { remote_host }),
    modified_at: timeOf(modified_at),
    size,
    digest: digestOf(digest),
    details: { ...NO_DETAILS, ...details },
    ...(capabilities === undefined ? {} : { capabilities }),
  };
}

export function loadedModel(running: FleetRunning["running"][number]): object {
  const { name, size, digest, details, expires_at, size_vram, context_length = 0 } = running;
  return {
    name,
    model: name,
    size,
    digest: digestOf(digest ?? ""),
    details: { ...NO_DETAILS, ...details },
    expires_at: timeOf(expires_at),
    size_vram,
    context_length,
  };
}

export function shownModel({ details, model_info = {}, ...rest }: ModelDetails, listed: Model): object {
  // The lengths are only in lists; here model_info has them.
  const { context_length: _, embedding_length: __, ...brief } = { ...listed.details, ...details };
  return {
    ...rest,
    details: { ...NO_DETAILS, ...brief },
    model_info,
    modified_at: timeOf(listed.modified_at),
  };
}

export function openAiModel({ name, modified_at }: FleetModel): object {
  const created = Math.floor(Date.parse(timeOf(modified_at)) / 1000);
  return { id: name, object: "model", created: Math.max(0, created), owned_by: parseModelName(name).namespace };
}

function digestOf(text: string): string {
  const hex = text.replace(/^sha256:/, "");
  return /^[0-9a-f]{64}$/.test(hex) ? hex : NO_DIGEST;
}

/** Clients parse it, and refuse the whole list if they cannot. */
function timeOf(text: string): string {
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(text);
  return isTime && !Number.isNaN(Date.parse(text)) ? text : NO_TIME;
}
