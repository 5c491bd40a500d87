// What of a box changed: all its files, before and after.
import type { Box } from "./box.ts";

/** Places that change by themselves: logs, the share, which is no part of the box, and what useradd had before. */
const LEFT_OUT = [
  "/etc/passwd-",
  "/etc/group-",
  "/etc/shadow-",
  "/etc/gshadow-",
  "/export",
  "/var/log",
  "/var/lib/systemd",
  "/var/lib/ollama",
  "/var/tmp",
  "/root",
  "/etc/machine-id",
];

/**
 * Every file of the box, one a line: kind, mode, owner, size, target of a link, path; with a CRC of the content. SHA-256 takes
 * 0.8 s for each of the binaries.
 * @param alsoLeftOut more places to leave out
 */
export async function snapshot(box: Box, ...alsoLeftOut: readonly string[]): Promise<readonly string[]> {
  const prune = [...LEFT_OUT, ...alsoLeftOut].map((path) => `-path ${path}`).join(" -o ");
  const list = String.raw`find / -xdev \( ${prune} \) -prune -o -printf '%y %m %u:%g %p %l\n' | sort`;
  const hash = String.raw`find /etc /opt /usr/local /var/lib \( ${prune} \) -prune -o -type f -print0 | xargs -0r cksum | sort`;
  return (await box.run(`${list}; ${hash}`)).split("\n");
}

/** The entries that only one of the two has. */
export function changes(before: readonly string[], after: readonly string[]): string[] {
  const [had, has] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !has.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !had.has(line)).map((line) => `+ ${line}`),
  ];
}
