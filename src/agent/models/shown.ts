// What show_model returns of a model, cut so that it fits into one response.
import { fittingCount } from "../../base/fitting.ts";
import { LIMITS, type ModelDetails } from "../../protocol.ts";

/** The model's entry of the list, the names of the fields and the rest of the response need less. */
const REST_BYTES = 128 * 1024;
const MAX_TEXT_CHARS = 256 * 1024;
const MAX_TEXT_BYTES = 1024 * 1024;
/** Vocabularies and the like are longer, and nobody reads them. */
const MAX_VALUE_CHARS = 4096;
const MAX_INFO_BYTES = 512 * 1024;
const MAX_DETAILS_BYTES = 64 * 1024;

/**
 * The details of a model, as far as they fit: the first ones have their full limits, the others what these leave. The
 * modelfile is last: it repeats the template, the parameters, the system prompt and the license.
 */
export function shownDetails(all: ModelDetails): ModelDetails {
  const room = new Room(LIMITS.responseBytes - REST_BYTES);
  return {
    details: room.fields(all.details, MAX_DETAILS_BYTES),
    capabilities: room.items(all.capabilities, MAX_DETAILS_BYTES),
    parameters: room.text(all.parameters),
    template: room.text(all.template),
    license: room.text(all.license),
    model_info: room.fields(all.model_info, MAX_INFO_BYTES),
    modified_at: room.text(all.modified_at),
    requires: room.text(all.requires),
    renderer: room.text(all.renderer),
    parser: room.text(all.parser),
    remote_model: room.text(all.remote_model),
    remote_host: room.text(all.remote_host),
    system: room.text(all.system),
    messages: room.items(all.messages, MAX_TEXT_BYTES),
    projector_info: room.fields(all.projector_info, MAX_INFO_BYTES),
    modelfile: room.text(all.modelfile),
  };
}

/** Cuts one value after the other to what is left for it. */
class Room {
  #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  text(text: string | undefined): string | undefined {
    if (text === undefined) return undefined;
    const most = Math.min(MAX_TEXT_BYTES, this.#bytes);
    let kept = text.slice(0, MAX_TEXT_CHARS);
    while (kept !== "" && bytesOf(kept) > most) kept = kept.slice(0, kept.length / 2);
    return kept === "" && text !== "" ? undefined : this.#take(kept);
  }

  items<Item>(items: readonly Item[] | undefined, most: number): Item[] | undefined {
    return items && this.#take(items.slice(0, fittingCount(items, Math.min(most, this.#bytes))));
  }

  fields(fields: Readonly<Record<string, unknown>> | undefined, most: number): Record<string, unknown> | undefined {
    if (fields === undefined) return undefined;
    const short = Object.entries(fields).filter(([, value]) => JSON.stringify(value).length <= MAX_VALUE_CHARS);
    return this.#take(Object.fromEntries(short.slice(0, fittingCount(short, Math.min(most, this.#bytes)))));
  }

  #take<Value>(value: Value): Value {
    this.#bytes -= bytesOf(value);
    return value;
  }
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
