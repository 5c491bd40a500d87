// What the tests of this folder are about and where they may work.
import manifest from "../../../package.json" with { type: "json" };

/** Of the release `old`, which is the checkout. */
export const OLD_VERSION: string = manifest.version;
/** Of the release `new`. */
export const NEW_VERSION = "97.1.0";

export interface Ground {
  /** The root that all boxes start from. */
  readonly root: string;
  /** What every box has in /srv. */
  readonly srv: string;
  /** For a folder of each box. */
  readonly boxes: string;
  /** A control group; the boxes are in groups of their own below. Killing it ends all that runs in them. */
  readonly cgroup: string;
}

/** Where {@link ground} finds what main.ts made. */
export const GROUND_VARIABLE = "SYSTEMD_GROUND";

export function ground(): Ground {
  const text = process.env[GROUND_VARIABLE];
  if (text === undefined) throw new Error("These tests run in npm run test:systemd alone");
  return JSON.parse(text);
}
