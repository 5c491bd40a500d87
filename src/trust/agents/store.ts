// Where known agents are kept: several programs may share a store, so each writes only its changes.
import { isOlder, type KnownAgent } from "./known_agent.ts";

type Known = ReadonlyMap<string, KnownAgent>;

/** What a reader has learned. */
export interface Changes {
  /** Agents of first use that made room for others. They go first. */
  readonly displaced: ReadonlySet<string>;
  /** Keys of first use: kept only where no key is known yet. */
  readonly learned: Known;
  /** An operator's or a roster's: they replace what is there. */
  readonly decided: Known;
  /** Their positions are kept where they are newer and of the same key. */
  readonly seen: Known;
}

export interface KnownAgentsStore {
  read(): Known;
  /** Nothing happens when there is no change. */
  write(changes: Changes): void;
}

export function isEmpty({ displaced, learned, decided, seen }: Changes): boolean {
  return displaced.size + learned.size + decided.size + seen.size === 0;
}

/** What a store holds after the changes. */
export function merged(before: Known, { displaced, learned, decided, seen }: Changes): Known {
  const kept = [...before].filter(([agent, { status }]) => status !== "first use" || !displaced.has(agent));
  const after = new Map([...learned, ...kept, ...decided]);
  for (const [agent, { key, boot, sequence }] of seen) {
    const known = after.get(agent);
    if (known?.key === key && isOlder(known, { boot, sequence })) after.set(agent, { ...known, boot, sequence });
  }
  return after;
}
