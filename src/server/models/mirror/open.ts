// Puts gpu-server's mirror together.
import type { Database } from "bun:sqlite";
import type { Log } from "../../../base/log.ts";
import { AllowedRegistries } from "../../../program/registry/allowed_registries.ts";
import type { Mirror } from "../../../transport/mirror/mirror.ts";
import { ratedSource } from "../../../transport/mirror/rated_source.ts";
import { RegistrySource } from "../../../transport/mirror/registry_source.ts";
import { FetchStore } from "./fetch_store.ts";
import { Fetches } from "./fetches.ts";
import type { MirrorSettings } from "./flags.ts";
import { FollowingPulls, type FollowingPullsDeps } from "./following_pulls.ts";
import { ServerMirror } from "./server_mirror.ts";

export interface MirrorParts extends Omit<FollowingPullsDeps, "store"> {
  readonly database: Database;
  /** That it may fetch from. */
  readonly registries: { readonly allowed: readonly string[]; readonly insecure: readonly string[] };
  readonly log: Log;
}

export function openMirror(
  { bytesPerSecond }: Pick<MirrorSettings, "bytesPerSecond">,
  mirror: Mirror,
  parts: MirrorParts,
): ServerMirror {
  const { database, registries: named, clock, log } = parts;
  const store = new FetchStore(database);
  const registries = new AllowedRegistries({ ...named, agent: "gpu-server" });
  const source = ratedSource(new RegistrySource({ registries }), bytesPerSecond, clock);
  const pulls = new FollowingPulls({ ...parts, store });
  const fetches = new Fetches({ store, pulls, mirror, source, registries, clock, log });
  return new ServerMirror({ mirror, fetches, store, clock });
}
