// The identity of this agent: its name, and a random instance that distinguishes two agents with the same name.
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { CourierError, systemCode } from "../../base/errors.ts";
import { AgentName, LEGACY_SERVICE_AGENT } from "../../protocol.ts";

export interface Identity {
  readonly agent: string;
  readonly instance: string;
  readonly host: string;
  /** ISO 8601. */
  readonly startedAt: string;
}

const INSTANCE_FILE = "instance";

/**
 * The agent's name: the given one, or the short host name in lower case.
 * @throws CourierError `invalid` when it does not fit the grammar or is reserved
 */
export function agentName(given: string | undefined, host = hostname()): string {
  const name = given ?? (host.split(".")[0] ?? "").toLowerCase();
  if (AgentName.safeParse(name).success && name !== LEGACY_SERVICE_AGENT) return name;
  const from = given === undefined ? `the host name "${host}"` : `"${given}"`;
  throw new CourierError("invalid", `Cannot use ${from} as the agent's name`, {
    hint: `Set --name to 1 to 63 of a-z, 0-9 and -, not starting or ending with -, and not "${LEGACY_SERVICE_AGENT}"`,
  });
}

/**
 * Creates the state directory when it is missing.
 * @returns whether an agent was started on it before
 * @throws CourierError `exhausted` when its disk is full; `forbidden` when it cannot be created for another reason
 */
export function openStateDir(dir: string): boolean {
  try {
    if (mkdirSync(dir, { recursive: true }) !== undefined) chmodSync(dir, 0o700);
    return keptInstance(join(dir, INSTANCE_FILE)) !== null;
  } catch (error) {
    throw stateDirFailure(`create the state directory ${dir}`, error);
  }
}

/**
 * The instance in the state directory; created at the first start.
 * @param write for tests: a disk that fails
 * @throws CourierError `exhausted` when its disk is full; `forbidden` when it cannot be read or created for another reason
 */
export function readInstance(
  stateDir: string,
  write: (path: string, text: string) => void = (path, text) => writeFileSync(path, text),
): string {
  const path = join(stateDir, INSTANCE_FILE);
  try {
    const kept = keptInstance(path);
    if (kept !== null) return kept;
    const instance = crypto.randomUUID();
    write(`${path}.new`, `${instance}\n`);
    renameSync(`${path}.new`, path);
    return instance;
  } catch (error) {
    throw stateDirFailure(`save this agent's identity in ${path}`, error);
  }
}

/** Null when the file is missing, or was cut short by a full disk: then no agent has ever run here. */
function keptInstance(path: string): string | null {
  const kept = existsSync(path) ? readFileSync(path, "utf8").trim() : "";
  return /^[0-9a-f-]{36}$/.test(kept) ? kept : null;
}

function stateDirFailure(action: string, cause: unknown): CourierError {
  const code = systemCode(cause);
  if (code === "ENOSPC" || code === "EDQUOT") {
    const hint = "Free space on the disk of the state directory";
    return new CourierError("exhausted", `Cannot ${action}: no space left on its disk`, { hint, cause });
  }
  const hint = "Set --state-dir to a folder that this user can read and write";
  return new CourierError("forbidden", `Cannot ${action}: ${code ?? String(cause)}`, { hint, cause });
}
