// Hooks for the mirror of the server, if it runs one: whether it does, and its fetches.
import { useEffect, useState } from "preact/hooks";
import type { CourierError } from "../../base/errors.ts";
import type { FetchDocument, FetchesDocument } from "../../documents/models/mirror.ts";
import { useDocument, useLooks } from "./use_document.ts";
import { useFleet } from "./use_fleet.ts";

/** No event reports a fetch. */
const STEP_MS = 1_000;
const PATH = "v1/mirror/fetches";
const NONE: readonly FetchDocument[] = [];

export interface Fetches {
  /** The newest first. */
  readonly fetches: readonly FetchDocument[];
  readonly isRead: boolean;
  readonly failure: CourierError | undefined;
  readonly again: () => Promise<void>;
}

export function isFetching({ state }: FetchDocument): boolean {
  return state === "queued" || state === "running";
}

/** From a server without a mirror, an older one, or one that does not show it to this user. */
const WITHOUT: readonly CourierError["code"][] = ["unimplemented", "not_found", "forbidden"];

/** Undefined until the server has answered: one that could not is asked again when somebody looks. */
export function useHasMirror(): boolean | undefined {
  const { document, failure, again } = useDocument<FetchesDocument>(
    PATH,
    useFleet((fleet) => fleet.readings),
  );
  const looks = useLooks();
  const isWithout = failure !== undefined && WITHOUT.includes(failure.code);
  const isUnknown = document === undefined && failure !== undefined && !isWithout;
  useEffect(() => {
    if (isUnknown) void again();
  }, [looks]);
  if (document !== undefined) return true;
  return isWithout ? false : undefined;
}

/** Read again a second after each answer while something is fetched, and otherwise when somebody looks. @param hasMirror false: never */
export function useFetches(hasMirror: boolean): Fetches {
  const [steps, setSteps] = useState(0);
  const version = `${useFleet((fleet) => fleet.readings)} ${useLooks()} ${steps}`;
  const { document: read, failure, again } = useDocument<FetchesDocument>(PATH, hasMirror ? version : undefined);
  const fetches = read?.fetches ?? NONE;
  const isMoving = fetches.some(isFetching);
  useEffect(() => {
    if (!isMoving) return undefined;
    // A step before the answer would give up that answer: where each takes long, none would ever be shown.
    const step = (): void => {
      if (document.visibilityState === "visible") setSteps((count) => count + 1);
    };
    const timer = setTimeout(step, STEP_MS);
    return () => clearTimeout(timer);
  }, [isMoving, read, failure]);
  return { fetches, isRead: read !== undefined, failure, again };
}
