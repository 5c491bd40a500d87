// Which models of the mirror a box may use that requires signatures.
import type { Clock } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import { formatModelName } from "../../../base/model_name.ts";
import type { MirroredModel } from "../../../transport/mirror/mirror.ts";
import type { MirrorReader } from "../../../transport/mirror/reading/reader.ts";
import type { TrustedSenders } from "../../../trust/roster/trusted_senders.ts";
import { signatureFault } from "../../../trust/signed_model.ts";

export interface SignedCopiesDeps {
  readonly mirror: Pick<MirrorReader, "readSignature">;
  readonly keys: Pick<TrustedSenders, "find">;
  readonly clock: Pick<Clock, "now">;
}

/** Anyone who can write to the share could otherwise choose what a box runs. */
export class SignedCopies {
  readonly #deps: SignedCopiesDeps;

  constructor(deps: SignedCopiesDeps) {
    this.#deps = deps;
  }

  /** @throws CourierError `forbidden` when no trusted key has signed it; `unavailable` when the share cannot be read */
  async requireSigned({ name, manifest: { digest } }: MirroredModel): Promise<void> {
    const { mirror, keys, clock } = this.#deps;
    const model = formatModelName(name);
    const text = await mirror.readSignature(name);
    const fault = signatureFault(text, { name: model, digest }, (id) => keys.find(id), clock.now());
    if (fault === null) return;
    throw new CourierError("forbidden", `The mirror's copy of ${model} cannot be used: ${fault}`, {
      hint: `Sign it with a key that this box trusts for verbs=mirror: gpuctl mirror sign ${model}`,
    });
  }
}
