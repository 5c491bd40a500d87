// A hook for what registries have now of the models of the fleet.
import { useEffect, useMemo, useState } from "preact/hooks";
import type { CourierError } from "../../../base/errors.ts";
import type { UpdatesDocument } from "../../../documents/models/updates.ts";
import { useDocument } from "../../shell/use_document.ts";
import { useFleet } from "../../shell/use_fleet.ts";
import { type Compared, comparedOf } from "./newer.ts";

/** gpu-server keeps the answers of registries for hours: this finds what boxes have since then. */
const AGAIN_MS = 15 * 60_000;
const NONE: Compared = new Map();

export interface Updates {
  /** Empty until registries have answered, which may take half a minute. */
  readonly compared: Compared;
  readonly failure: CourierError | undefined;
}

/** @param isReady false: nothing is asked yet */
export function useUpdates(isReady: boolean): Updates {
  const version = `${useFleet((fleet) => fleet.readings)} ${useSeldom(AGAIN_MS)}`;
  const { document, failure } = useDocument<UpdatesDocument>("v1/updates", isReady ? version : undefined);
  const compared = useMemo(() => (document === undefined ? NONE : comparedOf(document)), [document]);
  return { compared, failure };
}

/** A number that is another one when somebody looks and the last change is that long ago. */
function useSeldom(stepMs: number): number {
  const [{ count, atMs }, set] = useState(() => ({ count: 0, atMs: performance.now() }));
  useEffect(() => {
    const look = (): void => {
      const isDue = performance.now() - atMs >= stepMs;
      if (isDue && document.visibilityState === "visible") set({ count: count + 1, atMs: performance.now() });
    };
    const timer = setInterval(look, stepMs);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [count, atMs, stepMs]);
  return count;
}
