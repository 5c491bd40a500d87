// One run of gpuctl: opens the transport, does what the verb does, leaves nothing behind.
import { within } from "../base/clock.ts";
import { CourierError } from "../base/errors.ts";
import type { Agents } from "../courier/selection.ts";
import { Courier } from "../courier.ts";
import type { Transport } from "../transport.ts";
import type { VerifyMode } from "../trust/agents/known_agents.ts";
import { readKey } from "../trust/key_file.ts";
import type { KeptRoster } from "../trust/roster/kept_roster.ts";
import type { ClientIo, Watch } from "./io.ts";
import { KeptKeys } from "./kept_keys.ts";
import { Printer } from "./output/printer.ts";
import { followRoster, openRoster } from "./roster/kept.ts";

export interface SessionOptions {
  readonly share: string;
  readonly watch: Watch;
  readonly timeoutMs: number;
  readonly agents: Agents | undefined;
  /** Undefined: `all` with operators, otherwise `known`. */
  readonly verifyAgents: VerifyMode | undefined;
  /** The file with the operators' keys; undefined: no operator is trusted. */
  readonly operatorKeys: string | undefined;
  readonly json: boolean;
}

/** What a verb has. */
export interface Session {
  readonly courier: Courier;
  readonly transport: Transport;
  readonly printer: Printer;
  readonly io: ClientIo;
  readonly timeoutMs: number;
  /** Which agents the command line names; undefined: it names none. */
  readonly agents: Agents | undefined;
  /** Keeps what is known of the agents' keys; also done at the end. @throws CourierError when that fails */
  readonly saveKeys: () => void;
  /** Null: no operator is trusted. */
  readonly roster: KeptRoster | null;
}

/** @returns the exit status */
export type Verb = (session: Session) => Promise<number>;

/** Runs a verb with what the command line says, and ends with its exit status. */
export type Run = (verb: Verb) => Promise<void>;

/** How long after Ctrl-C a verb, and then the cleaning up, may take: on a hung share neither would ever end. */
const STOP_GRACE_MS = 2_000;
/** The longest that a timer can be set for. */
const FOREVER_MS = 2 ** 31 - 1;

/** A verb that needs the transport. @throws CourierError `unavailable` when it cannot be reached */
export function connected(verb: Verb): Verb {
  return async (session) => {
    await session.transport.connect();
    await followRoster(session.transport, session.roster, session.printer);
    return await verb(session);
  };
}

/**
 * Runs a verb and gives everything up that it used.
 * @param verb gets a transport that is not connected
 * @returns the exit status
 * @throws whatever the verb throws; `cancelled`
 */
export async function runInSession(io: ClientIo, options: SessionOptions, verb: Verb): Promise<number> {
  const signingKey = readKey(io.keyFile);
  const { share, operatorKeys, verifyAgents } = options;
  const roster = operatorKeys === undefined ? null : openRoster(io, share, operatorKeys);
  const verify = verifyAgents ?? (roster === null ? "known" : "all");
  const keys = new KeptKeys(io.knownAgentsFile, share, verify, roster ?? undefined);
  const transport = await io.open(share, options.watch);
  const courier = new Courier(transport, {
    sender: "gpuctl",
    timeoutMs: options.timeoutMs,
    requestedBy: io.requestedBy,
    signingKey,
    agents: keys.agents,
    clock: io.clock,
  });
  const printer = new Printer(io, options.json);
  const { timeoutMs, agents } = options;
  let status: number | undefined;
  try {
    const saveKeys = (): void => keys.save();
    const session = { courier, transport, printer, io, timeoutMs, agents, roster, saveKeys };
    status = await untilStopped(verb(session), io);
    return status;
  } finally {
    keys.close(printer, status !== 0);
    // The result is known: a reply folder that cannot be removed now is left to the sweep.
    await within(io.clock, STOP_GRACE_MS, close(courier, transport), null);
  }
}

async function close(courier: Courier, transport: Transport): Promise<void> {
  await courier.close().catch(() => undefined);
  await transport.close().catch(() => undefined);
}

/** The result of `work`; once the signal aborted, `work` has a short while to end by itself. */
async function untilStopped(work: Promise<number>, { clock, signal }: ClientIo): Promise<number> {
  const ended = new AbortController();
  const stopped = async (): Promise<never> => {
    await clock.sleep(FOREVER_MS, AbortSignal.any([signal, ended.signal]));
    if (!ended.signal.aborted) await clock.sleep(STOP_GRACE_MS, ended.signal);
    throw new CourierError("cancelled", "Stopped while the share did not answer");
  };
  try {
    return await Promise.race([work, stopped()]);
  } finally {
    ended.abort();
  }
}
