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

/** Undefined until the server has answered. */
export function useHasMirror(): boolean | undefined {
  const { document, failure } = useDocument<FetchesDocument>(
    PATH,
    useFleet((fleet) => fleet.readings),
  );
  if (document !== undefined) return true;
  return failure === undefined ? undefined : false;
}

/** Read every second while something is fetched, and otherwise when somebody looks. @param hasMirror false: never */
export function useFetches(hasMirror: boolean): Fetches {
  const [isMoving, setMoving] = useState(false);
  const version = `${useFleet((fleet) => fleet.readings)} ${useLooks()} ${useTicks(isMoving)}`;
  const { document, failure, again } = useDocument<FetchesDocument>(PATH, hasMirror ? version : undefined);
  const fetches = document?.fetches ?? NONE;
  const isAnyActive = fetches.some(isFetching);
  useEffect(() => setMoving(isAnyActive), [isAnyActive]);
  return { fetches, isRead: document !== undefined, failure, again };
}

function useTicks(isMoving: boolean): number {
  const [ticks, setTicks] = useState(0);
  useEffect(() => {
    if (!isMoving) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && setTicks((count) => count + 1), STEP_MS);
    return () => clearInterval(timer);
  }, [isMoving]);
  return ticks;
}
