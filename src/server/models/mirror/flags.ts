// The flags of gpu-server's mirror.
import { CourierError } from "../../../base/errors.ts";
import { flag, parse } from "../../../program/flags.ts";
import { sharePath } from "../../../transport/address.ts";

export const mirrorFlags = {
  mirror: () =>
    flag("--mirror", "fetch models into the mirror on the share, as asked over HTTP: needs internet here").default(
      false,
    ),
  fetchRate: () =>
    flag("--fetch-rate <rate>", "fetch no faster than this in all, such as 50MB/s (default: no limit)").argParser(
      parse.rate,
    ),
};

export interface MirrorSettings {
  /** The path of the share that has the mirror. */
  readonly share: string;
  /** Null: no limit. */
  readonly bytesPerSecond: number | null;
}

interface Given {
  readonly mirror: boolean;
  readonly fetchRate?: number | undefined;
}

/**
 * The mirror of the first share that the command line names, which is the one of `gpuctl mirror` with the same transports.
 * @returns null without `--mirror`
 * @throws CourierError `invalid` when no transport is a share
 */
export function mirrorSettings({ mirror, fetchRate }: Given, addresses: readonly string[]): MirrorSettings | null {
  if (!mirror) return null;
  const share = addresses.map(sharePath).find((path) => path !== null);
  if (typeof share === "string") return { share, bytesPerSecond: fetchRate ?? null };
  throw new CourierError("invalid", "--mirror needs a shared folder, and every transport is NATS", {
    hint: "Add --transport share:/mnt/shared, or omit --mirror",
  });
}
