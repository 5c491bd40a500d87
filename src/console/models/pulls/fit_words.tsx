// Whether a model fits the GPUs of a box, in words: an estimate, shown with what it assumes.
import type { JSX } from "preact";
import { formatBytes } from "../../../base/format.ts";
import type { FitDocument, ModelFitDocument } from "../../../documents/models/fit.ts";
import { Foreign } from "../../parts/text.tsx";
import type { ModelFit } from "../facts/use_fit.ts";

type Verdict = NonNullable<FitDocument["verdict"]>;

const TONES: Readonly<Record<Verdict, string>> = {
  fits: "good",
  "fits partly: the rest runs on the CPU": "partly",
  "does not fit": "bad",
};

interface FitWordsProps {
  /** Undefined: nothing is known of this box, or not yet. */
  readonly fit: FitDocument | undefined;
}

export function FitWords({ fit }: FitWordsProps): JSX.Element | null {
  if (fit === undefined) return null;
  if (fit.verdict === null) {
    return (
      <span class="quiet" title={fit.reason ?? ""}>
        GPU: unknown
      </span>
    );
  }
  return (
    <span class={`verdict ${TONES[fit.verdict]}`} title={figuresOf(fit)}>
      {`GPU: ${fit.verdict}`}
    </span>
  );
}

/** The assumption behind the verdicts, or the reason why they are missing. */
export function FitLine({ fit: { document, failure } }: { readonly fit: ModelFit }): JSX.Element | null {
  if (failure !== undefined) return <p class="quiet small">{`GPU fit unknown: ${failure.spoken.message}`}</p>;
  if (document === undefined) return null;
  return <Foreign class="quiet small fit-line wrapped" text={lineOf(document)} />;
}

function lineOf({ state, reason, assumption }: ModelFitDocument): string {
  if (state === "missing") return "Its registry has no such model: check the name and tag.";
  if (state === "unknown") return `GPU fit unknown: ${reason ?? "no reason given"}`;
  return `GPU verdicts are ${assumption}.`;
}

/** `About 10.5 GB needed, 25.8 GB on its GPUs, 4.3 GB of it free now` */
function figuresOf({ needed_bytes: needed, gpu_bytes: all, gpu_free_bytes: free }: FitDocument): string {
  const parts = [
    needed === null ? "" : `About ${formatBytes(needed)} needed`,
    all === null ? "" : `${formatBytes(all)} on its GPUs`,
    free === null ? "" : `${formatBytes(free)} of it free now`,
  ];
  return parts.filter((part) => part !== "").join(", ");
}
