// How much of the models' disk pulls leave free, from `--disk-reserve`.
import { CourierError } from "../base/errors.ts";

/** Bytes to stay free on a disk of so many. */
export type DiskReserve = (totalBytes: number) => number;

const GIGABYTE = 1e9;
const UNITS: Readonly<Record<string, number>> = { b: 1, kb: 1e3, mb: 1e6, gb: GIGABYTE, tb: 1e12 };

/**
 * 5 %, at most 5 GB: what the rest of the box needs to go on, its logs above all, does not grow with its disk. A small disk
 * is not eaten up by it, and a large one does not refuse a model that fits well.
 */
export const defaultReserve: DiskReserve = (totalBytes) => Math.min(0.05 * totalBytes, 5 * GIGABYTE);

/** Reads `5%`, `20GB`, `500 MB` or `0`. @throws CourierError `invalid` */
export function parseDiskReserve(text: string): DiskReserve {
  const [, amount = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*(%|[kmgt]?b)?$/i.exec(text.trim()) ?? [];
  const value = Number(amount);
  if (unit === "%" && value < 100) return (totalBytes) => (totalBytes * value) / 100;
  const bytes = UNITS[unit.toLowerCase()] ?? (value === 0 ? 1 : undefined);
  if (amount !== "" && unit !== "%" && bytes !== undefined) return () => value * bytes;
  throw new CourierError("invalid", `Cannot use ${JSON.stringify(text)} as the disk reserve`, {
    hint: "A reserve looks like 20GB, 500MB, 5% or 0",
  });
}
