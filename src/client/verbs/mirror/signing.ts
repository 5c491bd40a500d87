// The verb mirror sign.
import { isoTime } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import { formatModelName, normalModelName } from "../../../base/model_name.ts";
import { writeSignature } from "../../../transport/mirror/signatures.ts";
import { ensureKey } from "../../../trust/key_file.ts";
import { signModel } from "../../../trust/signed_model.ts";
import type { MirrorVerb } from "./verb.ts";

/** Signs what is there now: a model that is replaced later must be signed again. */
export async function signInMirror({ mirror, io, printer }: MirrorVerb, models: readonly string[]): Promise<void> {
  for (const model of models.map(normalModelName)) {
    const found = await mirror.find(model);
    if (found === null)
      throw new CourierError("not_found", `The mirror has no ${model}`, { hint: "gpuctl mirror list" });
    const key = ensureKey(io.keyFile);
    const name = formatModelName(found.name);
    const { digest } = found.manifest;
    await writeSignature(mirror, found.name, signModel({ name, digest }, isoTime(io.clock.now()), key));
    if (printer.json) printer.documentLine({ model, digest, key_id: key.id });
    else printer.line(`signed ${model}, ${digest.slice(0, 12)}, with the key ${key.id}`);
  }
}
