// The flags of gpu-server's mirror.
import { resolve } from "node:path";
import { CourierError } from "../../../base/errors.ts";
import { flag, parse } from "../../../program/flags.ts";
import { sharePath } from "../../../transport/address.ts";

export const mirrorFlags = {
  mirror: () =>
    flag("--mirror", "fetch models into the mirror on the share, as asked over HTTP: needs internet here").default(
      false,
    ),
  serve: () =>
    flag("--serve-mirror", "serve the models of the mirror to boxes that cannot mount it, under /mirror").default(
      false,
    ),
  folder: () => flag("--mirror-folder <dir>", "folder with the mirror's gpu_models (default: the first share)"),
  fetchRate: () =>
    flag("--fetch-rate <rate>", "fetch no faster than this in all, such as 50MB/s (default: no limit)").argParser(
      parse.rate,
    ),
};

/** Where the mirror is, when it is not on a share of the command line. */
interface Place {
  readonly mirrorFolder?: string | undefined;
}

export interface MirrorSettings {
  /** The path of the share that has the mirror, or of another folder. */
  readonly share: string;
  /** Null: no limit. */
  readonly bytesPerSecond: number | null;
}

interface Given extends Place {
  readonly mirror: boolean;
  readonly fetchRate?: number | undefined;
}

/** @returns null without `--mirror`. @throws CourierError `invalid` when nothing says where the mirror is */
export function mirrorSettings(
  { mirror, fetchRate, ...place }: Given,
  addresses: readonly string[],
): MirrorSettings | null {
  return mirror ? { share: placeOf(place, addresses, "--mirror"), bytesPerSecond: fetchRate ?? null } : null;
}

/**
 * The folder with the mirror whose models are served.
 * @returns null without `--serve-mirror`
 * @throws CourierError as `mirrorSettings`
 */
export function servedFolder(
  { serveMirror, ...place }: Place & { readonly serveMirror: boolean },
  addresses: readonly string[],
): string | null {
  return serveMirror ? placeOf(place, addresses, "--serve-mirror") : null;
}

/** By default the first share that the command line names: `gpuctl mirror` with the same transports has the same one. */
function placeOf({ mirrorFolder }: Place, addresses: readonly string[], flagName: string): string {
  if (mirrorFolder !== undefined) return resolve(mirrorFolder);
  const share = addresses.map(sharePath).find((path) => path !== null);
  if (typeof share === "string") return share;
  throw new CourierError("invalid", `${flagName} needs a shared folder, and every transport is NATS`, {
    hint: `Add --transport share:/mnt/shared, or --mirror-folder DIR, or omit ${flagName}`,
  });
}
