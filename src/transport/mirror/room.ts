// Whether the share has room for a model, before its first byte is fetched.
import { statfs } from "node:fs/promises";
import { CourierError } from "../../base/errors.ts";
import { formatBytes } from "../../base/format.ts";
import { formatModelName, type ModelName } from "../../base/model_name.ts";
import { defaultReserve } from "../../program/disk_reserve.ts";
import type { Layer } from "../../program/registry/manifest.ts";
import type { HeldFolder } from "./held_folder.ts";
import type { Mirror } from "./mirror.ts";
import { partialName } from "./partial_blob.ts";

/** Of the file system that a path is on. Null: it does not know. */
export type RoomOf = (path: string) => Promise<{ readonly freeBytes: number; readonly totalBytes: number } | null>;

export interface RoomRequest {
  readonly mirror: Mirror;
  readonly name: ModelName;
  /** The blobs to fetch. */
  readonly missing: readonly Layer[];
  /** Where unfinished ones are, which have a part of their room already. */
  readonly temporary: HeldFolder;
  readonly roomOf?: RoomOf | undefined;
}

/**
 * The share is where commands and states go as well: as much of it stays free as a pull leaves free on a box.
 * @throws CourierError `exhausted`, with the figures; the system's error when the share cannot be read
 */
export async function requireRoom({
  mirror,
  name,
  missing,
  temporary,
  roomOf = shareRoom,
}: RoomRequest): Promise<void> {
  let neededBytes = 0;
  for (const layer of missing) {
    const partial = await temporary.look(partialName(layer));
    neededBytes += Math.max(0, layer.bytes - (partial?.bytes ?? 0));
  }
  const room = neededBytes === 0 ? null : await roomOf(temporary.at("."));
  if (room === null) return;
  const reserveBytes = defaultReserve(room.totalBytes);
  if (neededBytes + reserveBytes <= room.freeBytes) return;
  const [needed, reserve, free] = [neededBytes, reserveBytes, room.freeBytes].map((bytes) => formatBytes(bytes));
  throw new CourierError(
    "exhausted",
    `Cannot fetch ${formatModelName(name)}: ${needed} needed and ${reserve} in reserve, ${free} free in ${mirror.path}`,
    { hint: "Free space on the share: gpuctl mirror rm, gpuctl mirror gc" },
  );
}

async function shareRoom(path: string): ReturnType<RoomOf> {
  const { bsize, blocks, bavail } = await statfs(path);
  return blocks === 0 ? null : { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}
