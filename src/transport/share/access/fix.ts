// Commands that fix permissions on the share, as printed: with the path and the machine where they have to run.
import { join, relative } from "node:path";
import { type Mount, mountAt, readMounts } from "../mount/table.ts";

/** For every denial that has no command of its own. */
export const SEE_PERMISSIONS = "See Permissions in docs/operations.md";

/**
 * A hint with a command that changes owners or modes on the share. On NFS it is for the server: root may be nobody here.
 * @param what its purpose, as the start of a sentence
 * @param command for the path as it is called there, quoted
 */
export function fixShare(what: string, path: string, command: (path: string) => string): string {
  const mount = mountAt(readMounts(), path);
  const there = mount !== null && isNfs(mount) ? onServer(mount, path) : null;
  return there === null
    ? `${what}: ${command(quote(path))}`
    : `${what}, on ${there.server}: ${command(quote(there.path))}`;
}

/** @returns null where the source names no server */
export function onServer({ source, point }: Mount, path: string): { server: string; path: string } | null {
  const [, server, exported] = /^(.+):(\/.*)$/.exec(source) ?? [];
  if (server === undefined || exported === undefined) return null;
  return { server, path: join(exported, relative(point, path)) };
}

export function isNfs(mount: Mount | null): boolean {
  return mount?.type === "nfs" || mount?.type === "nfs4";
}

/** For a shell; most paths need no quotes. */
function quote(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
