// The models of the mirror, each with its signature and the boxes that have it.
import type { JSX } from "preact";
import { formatBytes } from "../../base/format.ts";
import type { MirrorDocument } from "../../documents/models/mirror.ts";
import { whereText } from "../models/facts/model_facts.ts";
import { Foreign, plural } from "../parts/text.tsx";
import { useMay, useMayOnAll } from "../shell/use_fleet.ts";

export type Mirrored = MirrorDocument["models"][number];

interface MirroredModelsProps {
  readonly models: readonly Mirrored[];
  readonly pull: (model: Mirrored) => void;
  readonly remove: (model: Mirrored) => void;
}

const MOST_NAMED = 40;

export function MirroredModels({ models, pull, remove }: MirroredModelsProps): JSX.Element {
  const [mayPull, mayRemove] = [useMay("pull_model"), useMayOnAll("delete_model")];
  return (
    <ul class="list mirrored" aria-label="Models in the mirror">
      {models.map((model) => (
        <li key={model.name}>
          <div class="grow">
            <MirroredName model={model} />
            <span class="quiet detail">{placesOf(model)}</span>
            {model.missing_blobs > 0 && <Incomplete model={model} />}
          </div>
          <span class="figure">{model.size === null ? "size unknown" : formatBytes(model.size)}</span>
          {(mayPull || mayRemove) && (
            <span class="mirrored-buttons">
              {mayPull && (
                <button type="button" class="button" aria-label={`Pull ${model.name}`} onClick={() => pull(model)}>
                  Pull…
                </button>
              )}
              {mayRemove && (
                <button
                  type="button"
                  class="button danger"
                  aria-label={`Remove ${model.name}`}
                  onClick={() => remove(model)}
                >
                  Remove
                </button>
              )}
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}

function MirroredName({ model: { name, signed_by: signer } }: { readonly model: Mirrored }): JSX.Element {
  return (
    <span class="model-name">
      <Foreign class="strong wrapped" text={name} />
      {signer === null ? (
        <span class="label" title="Boxes that require signatures do not use it">
          not signed
        </span>
      ) : (
        <span class="label active" title={`By the key ${signer}. Only the boxes verify it`}>
          signed
        </span>
      )}
    </span>
  );
}

function Incomplete({ model: { digest, missing_blobs: missing } }: { readonly model: Mirrored }): JSX.Element {
  const what = digest === null ? "Its manifest cannot be read" : `Incomplete: ${plural(missing, "blob")} missing`;
  return <span class="verdict bad">{`${what}. Fetch it again`}</span>;
}

/** `on 3 boxes: gpu-[1-3]; another version on gpu-4` */
function placesOf({ agents, other_agents: others }: Mirrored): string {
  const same =
    agents.length === 0 ? "on no box" : `on ${plural(agents.length, "box", "boxes")}: ${whereText(agents, MOST_NAMED)}`;
  return others.length === 0 ? same : `${same}; another version on ${whereText(others, MOST_NAMED)}`;
}
