// The purposes for which the platform has a model, and the model for each.
import { type Read, useDocument, useLooks } from "../../shell/use_document.ts";
import { useFleet } from "../../shell/use_fleet.ts";
import { useCalm } from "./use_models.ts";

export const PURPOSES = [
  ["vision", "Vision"],
  ["text", "Text"],
  ["scoring", "Scoring"],
  ["science", "Science"],
] as const;

export type Purpose = (typeof PURPOSES)[number][0];
export type ActiveModels = Readonly<Record<Purpose, string | null>>;

/** No event reports that somebody else changed them: they are read again with the models, and when somebody looks. */
export function useActiveModels(): Read<ActiveModels> {
  const lists = useCalm(useFleet((fleet) => fleet.listVersion()));
  return useDocument<ActiveModels>("v1/active-models", `${lists} ${useLooks()}`);
}

/** The purposes that a model is active for, in words. */
export function purposesOf(name: string, active: ActiveModels | undefined): readonly string[] {
  return PURPOSES.filter(([purpose]) => active?.[purpose] === name).map(([, title]) => title.toLowerCase());
}
