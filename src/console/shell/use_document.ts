// A document of the server in a component: read at once, and again whenever its version changes.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { asCourierError, type CourierError } from "../../base/errors.ts";
import { useConsole } from "./console.ts";

export interface Read<Document> {
  /** The last one that could be read. */
  readonly document: Document | undefined;
  /** Why the last reading failed. */
  readonly failure: CourierError | undefined;
  /** After an action of its own: resolves when the document shows what it did. */
  readonly again: () => Promise<void>;
}

/** Nothing of these arrives as an event: they change rarely, and outside the server too. */
const AGAIN_MS = 30_000;

/** A number that is another one when the user comes back to the page, and every 30 s while it is seen. */
export function useLooks(): number {
  const [looks, setLooks] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    const { signal } = stop;
    const look = (): void => {
      if (document.visibilityState === "visible") setLooks((count) => count + 1);
    };
    const timer = setInterval(look, AGAIN_MS);
    document.addEventListener("visibilitychange", look, { signal });
    addEventListener("focus", look, { signal });
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, []);
  return looks;
}

/** @param version anything that is different after a change; undefined: it is not read yet */
export function useDocument<Document>(path: string, version: number | string | undefined): Read<Document> {
  const { api } = useConsole();
  const [read, setRead] = useState<Pick<Read<Document>, "document" | "failure">>({
    document: undefined,
    failure: undefined,
  });
  const newest = useRef(0);
  const again = useCallback(async () => {
    newest.current += 1;
    const own = newest.current;
    const found = await api.get<Document>(path).then(
      (document) => ({ document, failure: undefined }),
      (error: unknown) => ({ failure: asCourierError(error) }),
    );
    // A slower one that began earlier shows less.
    if (own === newest.current) setRead((before) => ({ ...before, ...found }));
  }, [api, path]);
  useEffect(() => {
    if (version !== undefined) void again();
    return () => void (newest.current += 1);
  }, [again, version]);
  return { ...read, again };
}
