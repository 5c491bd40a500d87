// Counts what a client asks its NFS server: by operation for each mount, and GETATTR by folder. Runs in the virtual machine.
import { mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Client, run } from "./machines.ts";
import type { NetworkSite } from "./site.ts";

/** How often each operation was called, those that were not left out. */
export type Calls = ReadonlyMap<string, number>;

/** Since the mount, from /proc/self/mountstats. */
export async function callsOf(site: NetworkSite, client: Client): Promise<Calls> {
  const text = await run(client, "cat", "/proc/self/mountstats");
  const section = text.split(/^device /m).find((part) => part.includes(` mounted on ${site.share} `)) ?? "";
  const [, counts = ""] = section.split("per-op statistics");
  const lines = [...counts.matchAll(/^\s*([A-Z_0-9]+): (\d+) /gm)];
  if (lines.length === 0) throw new Error(`${client} has no counters for ${site.share}:\n${text}`);
  return new Map(lines.map(([, name = "", count]) => [name, Number(count)]));
}

export function difference(after: Calls, before: Calls): Calls {
  const changed = [...after].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const);
  return new Map(changed.filter(([, count]) => count > 0).toSorted(([, a], [, b]) => b - a));
}

export function sum(calls: Calls): number {
  return [...calls.values()].reduce((total, count) => total + count, 0);
}

/** The kernel's own trace of GETATTRs sent; mountstats does not say for which file each was. */
export class GetattrTrace implements Disposable {
  readonly #dir: string;

  constructor(name: string) {
    this.#dir = join("/sys/kernel/tracing/instances", name);
    mkdirSync(this.#dir);
    writeFileSync(join(this.#dir, "buffer_size_kb"), "4096");
    writeFileSync(join(this.#dir, "events/nfs/nfs_revalidate_inode_enter/enable"), "1");
  }

  /** Of one folder of the export, by all clients, so far; an inode is known by its number, which is the server's. */
  count(site: NetworkSite, folder: string): number {
    const { ino } = statSync(join(site.folder, folder));
    const text = readFileSync(join(this.#dir, "trace"), "utf8");
    return [...text.matchAll(/fileid=[0-9a-f]+:[0-9a-f]+:(\d+) /g)].filter(([, fileid]) => Number(fileid) === ino)
      .length;
  }

  [Symbol.dispose](): void {
    rmdirSync(this.#dir);
  }
}
