// What lies on the share in the end, and whether docs/protocol.md says that it does. Imports node:fs.
import { readdirSync } from "node:fs";
import { join } from "node:path";

export interface Leftover {
  readonly what: string;
  readonly count: number;
  /** Why it may lie there; null: it must not. */
  readonly reason: string | null;
}

interface Rule {
  readonly what: string;
  readonly path: RegExp;
  readonly reason: string;
}

const RULES: readonly Rule[] = [
  { what: "the agent's state", path: /^gpu_status\/[a-z0-9-]+_status\.json$/, reason: "it stays" },
  {
    what: "answers to old deletes",
    path: /^gpu_status\/delete_model_\d+_response\.json$/,
    reason: "nobody waits for them: swept when an hour old",
  },
  {
    what: "claims of old deletes",
    path: /^gpu_commands\/\.claims\/delete_model_\d+~[0-9a-f]{16}$/,
    reason: "each outlives its command by a day: swept after two",
  },
];

/** Every file on the share by what it is, and every folder but those that the protocol names. */
export function findLeftovers(share: string, agent: string): readonly Leftover[] {
  const known = new Set(["gpu_commands", "gpu_status", `gpu_commands/${agent}`, "gpu_commands/.claims"]);
  const isKnown = (path: string): boolean => known.has(path) || path.endsWith("/.tmp");
  const entries = readdirSync(share, { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => join(entry.parentPath, entry.name).slice(share.length + 1));
  const lying = paths.filter((path) => !isKnown(path));
  const ruled = RULES.map(({ what, path, reason }) => {
    return { what, count: lying.filter((each) => path.test(each)).length, reason };
  });
  const stray = lying.filter((each) => !RULES.some(({ path }) => path.test(each)));
  return [...ruled, ...stray.map((path) => ({ what: path, count: 1, reason: null }))];
}
