// Calls to the mirror's files in a program that has other work: a share that hangs keeps a few threads, and no others.
import type { FileHandle } from "node:fs/promises";
import type { Clock } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import { callsAtATime, Gate } from "../../share/calls/stall_gate.ts";

interface CallOptions<Value> {
  /** Receives the result of a call that was given up: to close what it opened. */
  readonly late?: (value: Value) => void;
}

export interface Guard {
  /** The call's result. @throws CourierError `unavailable` when it hangs, and at once while another one does */
  run<Value>(call: () => Promise<Value>, options?: CallOptions<Value>): Promise<Value>;
  /** Resolves once no call hangs. */
  opened(): Promise<void>;
}

/** An open file of the mirror. */
export interface OpenFile extends AsyncDisposable {
  read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number | null,
  ): Promise<{ readonly bytesRead: number }>;
  close(): Promise<void>;
}

/** A busy server, which sends models to many boxes, takes longer than one that only has the small files of the transport. */
const STALLED_AFTER_MS = 15_000;

/** Beside the gate of the transport, whose calls are others: a slow blob should not stop commands. */
export function mirrorGuard(clock: Clock): Guard {
  const gate = new Gate(clock, callsAtATime("mirror"));
  return {
    run: async (call, options) => await gate.run(call, { ...options, stalledAfterMs: STALLED_AFTER_MS }),
    opened: async () => await gate.opened(),
  };
}

/** An open that was given up and succeeds later keeps no descriptor. */
export async function opening(guard: Guard | null, open: () => Promise<FileHandle>): Promise<FileHandle> {
  return guard === null ? await open() : await guard.run(open, { late: (handle) => void closeLate(handle) });
}

export function guarded(guard: Guard | null, handle: FileHandle): OpenFile {
  if (guard === null) return handle;
  const close = async (): Promise<void> => await closing(guard, handle);
  return {
    read: async (buffer, offset, length, position) =>
      await guard.run(async () => await handle.read(buffer, offset, length, position)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** While the share hangs it resolves at once, and the descriptor is closed later: the call that hangs reports that. */
export async function closing(guard: Guard | null, handle: FileHandle): Promise<void> {
  if (guard === null) return await handle.close();
  let isBegun = false;
  const begin = async (): Promise<void> => {
    isBegun = true;
    await handle.close();
  };
  try {
    await guard.run(begin);
  } catch (error) {
    if (!(error instanceof CourierError)) throw error;
    if (!isBegun) void guard.opened().then(async () => await closeLate(handle));
  }
}

async function closeLate(handle: FileHandle): Promise<void> {
  try {
    await handle.close();
  } catch {
    // Nothing uses this descriptor any more.
  }
}
