// Why some models, or all of them, could not be compared with their registries.
import type { JSX } from "preact";
import { Foreign, plural } from "../../parts/text.tsx";
import { unknownReasons } from "./unknown_reasons.ts";
import type { Updates } from "./use_updates.ts";

export function NotCompared({ updates: { compared, failure } }: { readonly updates: Updates }): JSX.Element | null {
  if (failure !== undefined)
    return <p class="quiet small missing">{`Newer versions unknown: ${failure.spoken.message}`}</p>;
  const reasons = [...unknownReasons(compared)];
  if (reasons.length === 0) return null;
  return (
    <p class="quiet small missing">
      {"Newer versions unknown "}
      <Foreign
        class="wrapped"
        text={reasons.map(([reason, count]) => `for ${plural(count, "model")}: ${reason}`).join("; ")}
      />
    </p>
  );
}
