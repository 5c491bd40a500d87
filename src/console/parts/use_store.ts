// Hooks that draw a component again when what it shows changes: a store, the time, the width of the window.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

interface Listenable {
  listen(listener: () => void): () => void;
}

/** What `read` returns now; drawn again when it is another value. @param read returns the same object while nothing changed */
export function useStore<Value>(store: Listenable, read: () => Value): Value {
  const value = read();
  const [, redraw] = useState(0);
  useLayoutEffect(() => {
    let shown = value;
    const look = (): void => {
      const now = read();
      if (Object.is(now, shown)) return;
      shown = now;
      redraw((count) => count + 1);
    };
    // It may have changed since it was drawn.
    look();
    return store.listen(look);
  });
  return value;
}

/** How many of so many to draw: `step` at first and with each frame more, so that no task is long. */
export function useGrowing(count: number, step: number): number {
  const [most, setMost] = useState(step);
  useEffect(() => {
    // When a filter is emptied, what it left out comes back in steps too.
    if (most > Math.max(count, step)) setMost(Math.max(count, step));
    if (most >= count) return undefined;
    const frame = requestAnimationFrame(() => setMost(most + step));
    return () => cancelAnimationFrame(frame);
  }, [count, most, step]);
  return Math.min(count, most);
}

/** The array that was there before while this one has the same items. */
export function useSameItems<Item>(items: readonly Item[]): readonly Item[] {
  const known = useRef(items);
  const before = known.current;
  if (items.length !== before.length || items.some((item, index) => item !== before[index])) known.current = items;
  return known.current;
}

/** The time, again every `stepMs`. */
export function useNow(stepMs: number): number {
  const [nowMs, setNow] = useState(Date.now());
  useEffect(() => {
    const look = (): void => setNow((before) => (Date.now() - before < stepMs ? before : Date.now()));
    // The step before this one may have been longer.
    look();
    const timer = setInterval(() => setNow(Date.now()), stepMs);
    return () => clearInterval(timer);
  }, [stepMs]);
  return nowMs;
}

/** Whether the window fits a media query. */
export function useMedia(query: string): boolean {
  const [fits, setFits] = useState(() => matchMedia(query).matches);
  useLayoutEffect(() => {
    const media = matchMedia(query);
    const look = (): void => setFits(media.matches);
    look();
    media.addEventListener("change", look);
    return () => media.removeEventListener("change", look);
  }, [query]);
  return fits;
}
