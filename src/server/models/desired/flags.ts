// The flags of the file that gpu-server keeps the fleet to.
import { CourierError } from "../../../base/errors.ts";
import { flag, parse } from "../../../program/flags.ts";

const GROUP = "Desired models:";

export const desiredFlags = {
  desired: () =>
    flag("--desired <file>", "keep the fleet in the state of this YAML file: pull and update what it names")
      .helpGroup(GROUP)
      .argParser(parse.text),
  desiredPrune: () =>
    flag("--desired-prune", "also delete what the file does not name, if it has prune: true")
      .helpGroup(GROUP)
      .default(false),
  desiredMaxDeletes: () =>
    flag("--desired-max-deletes <count>", "models to delete in a minute, on all boxes together")
      .helpGroup(GROUP)
      .argParser(parse.count)
      .default(5),
};

export interface DesiredSettings {
  readonly file: string;
  /** Whether it may delete. */
  readonly prune: boolean;
  readonly maxDeletes: number;
}

/** @returns null: there is no file @throws CourierError `invalid` for permission to delete without one */
export function chosenDesired(options: {
  readonly desired?: string | undefined;
  readonly desiredPrune: boolean;
  readonly desiredMaxDeletes: number;
}): DesiredSettings | null {
  const { desired, desiredPrune, desiredMaxDeletes } = options;
  if (desired !== undefined) return { file: desired, prune: desiredPrune, maxDeletes: desiredMaxDeletes };
  if (!desiredPrune) return null;
  throw new CourierError("invalid", "--desired-prune needs --desired, the file that names what stays");
}
