// Hooks for the fleet, the permissions of the user, the time of the server, and the query of the address.
import { useNow, useStore } from "../parts/use_store.ts";
import type { Permission } from "../session.ts";
import type { FleetStore } from "../store/fleet_store.ts";
import { useConsole } from "./console.ts";

/** Whether this user may do it. Controls without permission are left out, not disabled. */
export function useMay(permission: Permission): boolean {
  const { session } = useConsole();
  return useStore(session, () => session.present?.may[permission] === true);
}

/** Whether this user may do it on all boxes, as what concerns the whole server needs. */
export function useMayOnAll(permission: Permission): boolean {
  const { session } = useConsole();
  return useStore(session, () => session.present?.scope.agents === null && session.present.may[permission]);
}

/** Something of the fleet. @param read returns the same object while nothing changed */
export function useFleet<Value>(read: (fleet: FleetStore) => Value): Value {
  const { fleet } = useConsole();
  return useStore(fleet, () => read(fleet));
}

/** The time by the clock of the server, again every `stepMs`: this machine's may be wrong. */
export function useServerNow(stepMs: number): number {
  const { api } = useConsole();
  return useNow(stepMs) + api.clockOffsetMs;
}

/** A value in the query of the address, which survives a reload. */
export function useQuery(name: string, initial = ""): [value: string, change: (value: string) => void] {
  const { router } = useConsole();
  const value = useStore(router, () => router.place.query.get(name) ?? initial);
  return [value, (next) => router.setQuery(name, next === initial ? "" : next)];
}
