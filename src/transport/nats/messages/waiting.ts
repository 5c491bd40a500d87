// The list of the commands that wait for an agent. Agents read it instead of searching: a search would need rights that show
// other agents' commands as well.
import { z } from "zod";
import type { Clock } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import { parseJson } from "../../../base/foreign_text.ts";
import { CommandId, LIMITS } from "../../../protocol.ts";
import type { Bucket } from "../calls/bucket.ts";
import { KEYS } from "../layout.ts";

/** A command that was sent and perhaps not taken yet. */
const Waiting = z.object({
  id: CommandId,
  /** Of the command's entry: the same id sent again has another one. */
  sequence: z.int().nonnegative(),
  /** When it was added, and when nobody reads it any more, in ms on the server's clock. */
  at: z.number(),
  until: z.number(),
});
export type Waiting = z.infer<typeof Waiting>;

export interface WaitingList {
  /** Of the list's own entry. */
  readonly sequence: number;
  readonly commands: readonly Waiting[];
}

export const MOST_WAITING = 4_000;
const MAX_BYTES = 1024 * 1024;
const ATTEMPTS = 50;
/** From this attempt on, senders that meet again and again wait a moment first, each its own. */
const PAUSE_FROM = 5;
const MOST_PAUSE_MS = 50;
/** Of a list that somebody else wrote: nothing waits for longer. */
const MOST_AHEAD_MS = 2 * LIMITS.maxTtlMs;

interface Adding {
  readonly commands: Waiting[];
  readonly done: Promise<boolean>;
}

export class WaitingLists {
  readonly #bucket: Bucket;
  readonly #now: () => number;
  readonly #clock: Pick<Clock, "sleep">;
  /** As this handle saw it last: what it adds is added to that, and refused if the list has changed since. */
  readonly #seen = new Map<string, WaitingList>();
  /** Commands that go into the next change of a list, together. */
  readonly #adding = new Map<string, Adding>();
  readonly #changing = new Map<string, Promise<unknown>>();

  constructor(bucket: Bucket, now: () => number, clock: Pick<Clock, "sleep">) {
    this.#bucket = bucket;
    this.#now = now;
    this.#clock = clock;
  }

  /** @returns null when the agent was never there */
  async read(agent: string): Promise<WaitingList | null> {
    const entry = await this.#bucket.get(KEYS.inbox(agent));
    if (entry?.data == null) {
      this.#seen.delete(agent);
      return null;
    }
    const list = { sequence: entry.sequence, commands: parsed(entry.data) };
    this.#seen.set(agent, list);
    return list;
  }

  /** Whether the list exists, as far as this handle knows without asking again. */
  async exists(agent: string): Promise<boolean> {
    return this.#seen.has(agent) || (await this.read(agent)) !== null;
  }

  /** Makes an empty one. An existing one stays. */
  async make(agent: string): Promise<void> {
    const entry = await this.#bucket.get(KEYS.inbox(agent));
    if (entry !== null && entry.data !== null) return;
    await this.#bucket.put(KEYS.inbox(agent), "[]", { ifSequence: entry?.sequence ?? 0 });
  }

  /** Adds a command, with others that are added at the same time. @returns false when there is no such list */
  async add(agent: string, command: Waiting): Promise<boolean> {
    const next = this.#adding.get(agent);
    if (next !== undefined) {
      next.commands.push(command);
      return await next.done;
    }
    const commands = [command];
    const before = this.#changing.get(agent) ?? Promise.resolve();
    const done = before.then(async () => {
      this.#adding.delete(agent);
      return await this.#change(agent, (list) => [...list, ...commands]);
    });
    this.#adding.set(agent, { commands, done });
    const settled = done.catch(() => undefined);
    this.#changing.set(agent, settled);
    try {
      return await done;
    } finally {
      if (this.#changing.get(agent) === settled) this.#changing.delete(agent);
    }
  }

  /** Leaves out what is over, also of a list that senders go on adding to. */
  async leaveOut(agent: string, isOver: (command: Waiting) => boolean): Promise<void> {
    await this.#change(agent, (commands) => commands.filter((command) => !isOver(command)));
  }

  forget(agent: string): void {
    this.#seen.delete(agent);
  }

  async #change(agent: string, change: (commands: readonly Waiting[]) => readonly Waiting[]): Promise<boolean> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (attempt >= PAUSE_FROM) await this.#clock.sleep(Math.random() * MOST_PAUSE_MS);
      const seen = this.#seen.get(agent);
      const list = seen ?? (await this.read(agent));
      if (list === null) return false;
      const commands = lastOfEach(change(withoutExpired(list.commands, this.#now())));
      if (commands.length > MOST_WAITING) {
        // The agent may have shortened it since.
        this.#seen.delete(agent);
        if (seen === undefined) throw tooMany(agent);
        continue;
      }
      if (await this.#put(agent, list, commands)) return true;
    }
    throw new CourierError("exhausted", `Too many senders write to the inbox of ${agent} at once`, {
      hint: "Send it again in a moment",
    });
  }

  async #put(agent: string, { sequence }: WaitingList, commands: readonly Waiting[]): Promise<boolean> {
    const next = await this.#bucket.put(KEYS.inbox(agent), JSON.stringify(commands), { ifSequence: sequence });
    if (next === null) this.#seen.delete(agent);
    else this.#seen.set(agent, { sequence: next, commands });
    return next !== null;
  }
}

function withoutExpired(commands: readonly Waiting[], nowMs: number): readonly Waiting[] {
  return commands.filter(({ until }) => until > nowMs && until < nowMs + MOST_AHEAD_MS);
}

/** An id that was sent again stands for its last command. */
function lastOfEach(commands: readonly Waiting[]): readonly Waiting[] {
  return [...new Map(commands.map((command) => [command.id, command])).values()];
}

/** What it does not understand is left out, as everywhere on the wire. */
function parsed(data: Uint8Array): readonly Waiting[] {
  const value = data.byteLength > MAX_BYTES ? undefined : parseJson(new TextDecoder().decode(data));
  if (!Array.isArray(value)) return [];
  return value.slice(0, MOST_WAITING).flatMap((each: unknown) => {
    const command = Waiting.safeParse(each);
    return command.success ? [command.data] : [];
  });
}

function tooMany(agent: string): CourierError {
  return new CourierError("exhausted", `${MOST_WAITING} commands wait for ${agent} already`, {
    hint: `Check that it runs: gpuctl status ${agent}`,
  });
}
