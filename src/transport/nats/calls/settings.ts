// How the settings of a stream that exists differ from those that this release makes.
import type { StreamConfig } from "@nats-io/jetstream";

export interface Settings {
  /** The names of those that differ. */
  readonly differs: readonly string[];
  /** On how many servers it is kept. */
  readonly replicas: number;
}

/** @param names the settings that matter: nats-server adds others by itself */
export function settingsOf(
  found: StreamConfig,
  wanted: Partial<StreamConfig>,
  names: readonly (keyof StreamConfig)[],
): Settings {
  const differs = names.filter((name) => !Bun.deepEquals(found[name], wanted[name]));
  return { differs, replicas: found.num_replicas };
}
