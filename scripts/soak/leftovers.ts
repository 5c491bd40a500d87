// The files left on the share at the end, each with the reason that docs/protocol.md allows it.
import { readdirSync } from "node:fs";
import { join } from "node:path";

export interface Leftover {
  readonly what: string;
  readonly count: number;
  readonly least: number;
  readonly most: number;
  /** Why it may exist; null: it must not. */
  readonly reason: string | null;
}

interface Rule extends Omit<Leftover, "count"> {
  readonly path: RegExp;
}

function rules(oldDeletes: number): readonly Rule[] {
  return [
    { what: "the agent's state", path: /^gpu_status\/[a-z0-9-]+_status\.json$/, least: 1, most: 1, reason: "it stays" },
    {
      what: "answers to old deletes",
      path: /^gpu_status\/delete_model_\d+_response\.json$/,
      least: oldDeletes,
      most: oldDeletes,
      reason: "nobody waits for them: swept when an hour old",
    },
    {
      what: "claims of old deletes",
      path: /^gpu_commands\/\.claims\/delete_model_\d+~[0-9a-f]{16}$/,
      least: oldDeletes,
      // A legacy backend writes in place: what is seen while it writes is another command, claimed and then not run.
      most: 2 * oldDeletes,
      reason: "each outlives its command by a day: swept after two",
    },
  ];
}

/**
 * Every file on the share by what it is, and every folder but those that the protocol names.
 * @param oldDeletes so many were sent
 */
export function findLeftovers(share: string, agent: string, oldDeletes: number): readonly Leftover[] {
  const known = new Set(["gpu_commands", "gpu_status", `gpu_commands/${agent}`, "gpu_commands/.claims"]);
  const isKnown = (path: string): boolean => known.has(path) || path.endsWith("/.tmp");
  const entries = readdirSync(share, { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => join(entry.parentPath, entry.name).slice(share.length + 1));
  const lying = paths.filter((path) => !isKnown(path));
  const all = rules(oldDeletes);
  const ruled = all.map(({ path, ...rule }) => ({ ...rule, count: lying.filter((each) => path.test(each)).length }));
  const stray = lying.filter((each) => !all.some(({ path }) => path.test(each)));
  return [...ruled, ...stray.map((what) => ({ what, count: 1, least: 0, most: 0, reason: null }))];
}
