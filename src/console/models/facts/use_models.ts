// Hooks for the models of the fleet, and the catalog.
import { useEffect, useMemo, useState } from "preact/hooks";
import type { CourierError } from "../../../base/errors.ts";
import type { ModelsDocument } from "../../../documents/models.ts";
import { useDocument } from "../../shell/use_document.ts";
import { useFleet } from "../../shell/use_fleet.ts";
import type { FleetModel } from "./model_facts.ts";

/** In a large fleet something changes all the time: the list is read at most so often. */
const STEP_MS = 1_000;
const MOST = 10_000;

export interface Models {
  /** In the order of their names; empty while they are not read. */
  readonly models: readonly FleetModel[];
  readonly isRead: boolean;
  /** There are more than a page can show. */
  readonly isCut: boolean;
  /** Boxes whose models are not included. */
  readonly missing: readonly string[];
  readonly failure: CourierError | undefined;
  readonly again: () => Promise<void>;
}

const NONE: readonly FleetModel[] = [];

export function useModels(): Models {
  const contact = useFleet((fleet) => fleet.contact);
  const changes = useFleet((fleet) => fleet.listVersion());
  const version = useCalm(changes);
  const path = `v1/models?sort=name&limit=${MOST}`;
  const { document, failure, again } = useDocument<ModelsDocument>(
    path,
    contact === "connecting" ? undefined : version,
  );
  const models = document?.models ?? NONE;
  const missing = document?.unavailable?.map(({ agent }) => agent) ?? [];
  return { models, isRead: document !== undefined, isCut: document?.next !== undefined, missing, failure, again };
}

/** Follows a value, its first change at once and the next ones after a while. */
export function useCalm(value: number): number {
  const [calm, setCalm] = useState(value);
  const [changedMs, setChanged] = useState(0);
  useEffect(() => {
    if (value === calm) return undefined;
    const change = (): void => {
      setCalm(value);
      setChanged(performance.now());
    };
    const timer = setTimeout(change, Math.max(0, changedMs + STEP_MS - performance.now()));
    return () => clearTimeout(timer);
  }, [value, calm, changedMs]);
  return calm;
}

interface CatalogEntry {
  readonly name: string;
  readonly description: string;
  /** For people: `9.1 GB`. */
  readonly size: string;
}

export function useCatalog(): readonly CatalogEntry[] {
  const { document } = useDocument<{ readonly models: readonly CatalogEntry[] }>(
    "v1/catalog",
    useFleet((fleet) => fleet.readings),
  );
  return useMemo(() => document?.models ?? [], [document]);
}
