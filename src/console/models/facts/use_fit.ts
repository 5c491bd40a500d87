// A hook for which boxes a model of a registry fits.
import { useEffect, useState } from "preact/hooks";
import { asCourierError, type CourierError } from "../../../base/errors.ts";
import type { ModelFitDocument } from "../../../documents/models/fit.ts";
import { useConsole } from "../../shell/console.ts";

/** While somebody types, no registry is asked at each keystroke. */
const PAUSE_MS = 500;

export interface ModelFit {
  readonly document?: ModelFitDocument;
  readonly failure?: CourierError;
}

const NOTHING: ModelFit = {};

/** @param name undefined: of no model */
export function useFit(name: string | undefined): ModelFit {
  const { api } = useConsole();
  const [read, setRead] = useState<{ readonly name: string; readonly fit: ModelFit }>();
  useEffect(() => {
    if (name === undefined) return undefined;
    const stop = new AbortController();
    const ask = async (): Promise<void> => {
      const asked = api.get<ModelFitDocument>(`v1/fit?model=${encodeURIComponent(name)}`, stop.signal);
      const fit = await asked.then(
        (document) => ({ document }),
        (error: unknown) => ({ failure: asCourierError(error) }),
      );
      if (!stop.signal.aborted) setRead({ name, fit });
    };
    const timer = setTimeout(() => void ask(), PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [api, name]);
  return read !== undefined && read.name === name ? read.fit : NOTHING;
}
