// Which versions of nats-server do.
import { about, type Check } from "../../base/check.ts";

/** The first with entries that expire one by one. */
const OLDEST: readonly [major: number, minor: number] = [2, 11];
/**
 * By minor version, the first patch that confines a client to its permissions when it has a message traced (CVE-2026-33249). Before,
 * an agent could have its trace written to any key, as a state of another agent too: measured with 2.11.0.
 */
const FIXED_IN: Readonly<Record<number, number>> = { 11: 15, 12: 6 };

/** @param version as the server says it: "2.12.6", "2.15.0-dev" */
export function checkVersion(version: string): Check {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map((part) => Number.parseInt(part, 10) || 0);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    return about("nats", "version").failed(`nats-server ${version} is too old`, `Install ${advised()}`);
  if (major === OLDEST[0] && patch < (FIXED_IN[minor] ?? 0))
    return about("nats", "version").warning(
      `nats-server ${version} lets every agent write to keys of others (CVE-2026-33249)`,
      `Install ${advised()}`,
    );
  return about("nats", "version").ok(`nats-server ${version} has entries that expire`);
}

function advised(): string {
  const versions = Object.entries(FIXED_IN).map(([minor, patch]) => `${OLDEST[0]}.${minor}.${patch}`);
  return `${versions.join(", ")} or newer`;
}
