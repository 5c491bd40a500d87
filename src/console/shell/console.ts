// What every view has at hand: the session, the fleet, requests, messages, and where the user is.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Api } from "../api/api.ts";
import type { Session } from "../session.ts";
import type { FleetStore } from "../store/fleet_store.ts";
import type { Router } from "./router.ts";
import type { Toasts } from "./toasts.ts";

export interface Console {
  readonly session: Session;
  readonly api: Api;
  readonly fleet: FleetStore;
  readonly router: Router;
  readonly toasts: Toasts;
}

export const ConsoleContext = createContext<Console | undefined>(undefined);

export function useConsole(): Console {
  const console = useContext(ConsoleContext);
  if (console === undefined) throw new Error("No console is around this component");
  return console;
}

/** Does something and shows how it went. */
export function useActing(): (run: () => Promise<unknown>, done?: string) => Promise<void> {
  const { toasts } = useConsole();
  return async (run, done) => {
    try {
      await run();
      if (done !== undefined) toasts.done(done);
    } catch (error) {
      toasts.failed(error);
    }
  };
}
