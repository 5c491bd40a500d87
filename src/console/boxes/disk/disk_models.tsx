// The models of a measured disk, the largest first: what only each has, and what it shares with others.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { formatBytes } from "../../../base/format.ts";
import { Foreign, plural } from "../../parts/text.tsx";
import { largestFirst, type Usage } from "./disk_facts.ts";

/** More are shown when somebody asks. */
const FEW = 8;

export function DiskModels({ usage }: { readonly usage: Usage }): JSX.Element | null {
  const [isWhole, setWhole] = useState(false);
  const models = largestFirst(usage);
  if (models.length === 0) return null;
  const [first] = models;
  const most = first === undefined ? 1 : first.own_bytes + first.shared_bytes;
  const shown = isWhole ? models : models.slice(0, FEW);
  const others = models.length - FEW;
  return (
    <div>
      <ul class="disk-models" aria-label="Models on this disk">
        {shown.map((model) => (
          <DiskModel key={model.name} model={model} most={most} />
        ))}
      </ul>
      {others > 0 && (
        <button type="button" class="button quiet-button" onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Show fewer models" : `Show ${plural(others, "smaller model")}`}
        </button>
      )}
    </div>
  );
}

interface DiskModelProps {
  readonly model: Usage["models"][number];
  /** Bytes of the largest one. */
  readonly most: number;
}

function DiskModel({ model: { name, own_bytes: own, shared_bytes: shared }, most }: DiskModelProps): JSX.Element {
  const percentOf = (bytes: number): string => `${(100 * bytes) / Math.max(1, most)}%`;
  return (
    <li>
      <Foreign class="wrapped" text={name} />
      <span class="quiet">
        {shared === 0 ? formatBytes(own) : `${formatBytes(own)} own, ${formatBytes(shared)} shared`}
      </span>
      <span class="model-bar" aria-hidden="true">
        <span class="part models" style={{ width: percentOf(own) }} />
        <span class="part shared" style={{ width: percentOf(shared) }} />
      </span>
    </li>
  );
}
