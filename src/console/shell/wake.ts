// When the page was hidden, asleep or cut off: lets go of its connection, and catches up when somebody looks again.
import type { LiveFleet } from "../store/live_fleet.ts";

/** A browser gives one server few connections: a hidden tab keeps none. */
const HIDDEN_MS = 20_000;
/** A visible page that missed this much slept with its machine. */
const JUMP_MS = 5_000;
const LOOK_MS = 1_000;
const SILENT_MS = 11_000;

/** @returns what ends it */
export function followWhileSeen(live: LiveFleet): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  let hiding: ReturnType<typeof setTimeout> | undefined;
  const look = (): void => {
    clearTimeout(hiding);
    if (document.visibilityState === "hidden") {
      hiding = setTimeout(() => live.stop(), HIDDEN_MS);
      return;
    }
    live.start();
    live.reconnect(SILENT_MS);
  };
  let lastMs = Date.now();
  const timer = setInterval(() => {
    const sleptMs = Date.now() - lastMs - LOOK_MS;
    lastMs = Date.now();
    if (sleptMs > JUMP_MS && document.visibilityState === "visible") live.reconnect();
  }, LOOK_MS);
  document.addEventListener("visibilitychange", look, { signal });
  addEventListener("online", () => live.reconnect(), { signal });
  addEventListener("pageshow", (event: PageTransitionEvent) => event.persisted && live.reconnect(), { signal });
  live.start();
  return () => {
    stop.abort();
    clearInterval(timer);
    clearTimeout(hiding);
    live.stop();
  };
}
