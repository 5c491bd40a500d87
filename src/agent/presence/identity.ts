// Who this agent is: its name, and the random instance that tells two boxes of one name apart.
// Imports protocol, clock, errors, the seam; node:fs for the state directory only.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { CourierError, systemCode } from "../../base/errors.ts";
import { AgentName, LEGACY_SERVICE_AGENT, LIMITS, State } from "../../protocol.ts";
import type { StateRecord, Transport } from "../../transport.ts";

export interface Identity {
  readonly agent: string;
  readonly instance: string;
  readonly host: string;
  /** ISO 8601. */
  readonly startedAt: string;
}

const INSTANCE_FILE = "instance";
/** A document that moves does so every 5 s: two of its periods and a little. */
const WATCH_MS = 12_000;
const LOOK_EVERY_MS = 1000;

/**
 * The agent's name: the given one, or the short host name in lower case.
 * @throws CourierError `invalid` when it does not fit the grammar or is reserved
 */
export function agentName(given: string | undefined, host = hostname()): string {
  const name = given ?? (host.split(".")[0] ?? "").toLowerCase();
  if (AgentName.safeParse(name).success && name !== LEGACY_SERVICE_AGENT) return name;
  const from = given === undefined ? `the host name "${host}"` : `"${given}"`;
  throw new CourierError("invalid", `Cannot use ${from} as the agent's name`, {
    hint: `Give --name with 1 to 63 of a-z, 0-9 and -, not beginning or ending with -, and not "${LEGACY_SERVICE_AGENT}"`,
  });
}

/**
 * Makes the state directory when it is missing.
 * @returns whether an agent was started on it before
 * @throws CourierError `exhausted` when its disk is full; `forbidden` when it cannot be made otherwise
 */
export function openStateDir(dir: string): boolean {
  try {
    if (mkdirSync(dir, { recursive: true }) !== undefined) chmodSync(dir, 0o700);
    return existsSync(join(dir, INSTANCE_FILE));
  } catch (error) {
    throw stateDirFailure(`make the state directory ${dir}`, error);
  }
}

/**
 * The instance kept in the state directory; made at the first start.
 * @param write the disk as an argument
 * @throws CourierError `exhausted` when its disk is full; `forbidden` when it cannot be read or made otherwise
 */
export function readInstance(
  stateDir: string,
  write: (path: string, text: string) => void = (path, text) => writeFileSync(path, text),
): string {
  const path = join(stateDir, INSTANCE_FILE);
  try {
    const kept = existsSync(path) ? readFileSync(path, "utf8").trim() : "";
    if (/^[0-9a-f-]{36}$/.test(kept)) return kept;
    const instance = crypto.randomUUID();
    write(path, `${instance}\n`);
    return instance;
  } catch (error) {
    throw stateDirFailure(`keep who this agent is in ${path}`, error);
  }
}

function stateDirFailure(action: string, cause: unknown): CourierError {
  const code = systemCode(cause);
  if (code === "ENOSPC" || code === "EDQUOT") {
    const hint = "Free space on the box's own disk";
    return new CourierError("exhausted", `Cannot ${action}: no space is left there`, { hint, cause });
  }
  const hint = "Give --state-dir a folder that this user may read and write";
  return new CourierError("forbidden", `Cannot ${action}: ${code ?? String(cause)}`, { hint, cause });
}

/**
 * Makes sure that no other box publishes under this name. Returns at once unless a foreign document is fresh; then
 * watches for 12 s whether it moves.
 * @throws CourierError `conflict` when it moves: two boxes have one name
 */
export async function requireOwnName(
  transport: Transport,
  me: Identity,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const first = await transport.readState(me.agent);
  const other = foreignState(first, me);
  if (first === null || other === null || other.status === "stopped") return;
  if (transport.now() - first.publishedAtMs >= LIMITS.silentMs) return;
  const endMs = clock.monotonic() + WATCH_MS;
  while (clock.monotonic() < endMs && !signal.aborted) {
    await clock.sleep(LOOK_EVERY_MS, signal);
    const now = foreignState(await transport.readState(me.agent), me);
    if (now === null || now.status === "stopped") return;
    if (now.sequence !== other.sequence || now.started_at !== other.started_at) throw nameConflict(me, now.host);
  }
}

/** The document under my name when another instance wrote it, or a clone of my state directory; null when it is mine. */
export function conflictingState(record: StateRecord | null, me: Identity): State | null {
  const state = parse(record);
  if (state === null || state.status === "stopped") return null;
  return state.instance === me.instance && state.started_at === me.startedAt ? null : state;
}

function foreignState(record: StateRecord | null, me: Identity): State | null {
  const state = parse(record);
  return state === null || state.instance === me.instance ? null : state;
}

function parse(record: StateRecord | null): State | null {
  if (record === null || !("text" in record.content)) return null;
  try {
    return State.safeParse(JSON.parse(record.content.text)).data ?? null;
  } catch {
    return null;
  }
}

function nameConflict(me: Identity, otherHost: string): CourierError {
  return new CourierError(
    "conflict",
    `Another agent is called "${me.agent}": it runs on ${otherHost}, this is ${me.host}`,
    {
      hint: "Names are addresses: give one of the two another --name",
    },
  );
}
