// The sweep of the share, one round at a time: which folders it visits, and how much one round does.
import type { SweepScope, Swept } from "../../../transport.ts";
import type { Share } from "../share.ts";
import { agentFolders, type Names, sweepClaims, sweepInbox, sweepReplies, sweepTemporaries } from "./folders.ts";

/** A round ends after this many names. */
const NAMES_A_ROUND = 64;
/** And yields to the event loop after this many: half a millisecond on a local disk. */
const NAMES_A_TURN = 16;
const NOTHING = { commands: 0, responses: 0, claims: 0, addresses: 0, unfinished: 0 };

/** The sweeps that one handle has under way. */
export class Sweeps {
  readonly #share: Share;
  readonly #passes = new Map<string, Pass>();

  constructor(share: Share) {
    this.#share = share;
  }

  /** One round of the scope's pass, or the first of a new one. @throws the system's error; the next call continues after it */
  async round(scope: SweepScope): Promise<Swept> {
    const key = scope === "everything" ? scope : `inbox of ${scope.agent}`;
    const pass = this.#passes.get(key) ?? new Pass(this.#share, scope);
    this.#passes.set(key, pass);
    const swept = await pass.round();
    if (!swept.more) this.#passes.delete(key);
    return swept;
  }
}

/** Once through all folders. */
class Pass {
  readonly #parts: (() => Names)[];
  #part: Names | undefined;
  #removed = { ...NOTHING };

  constructor(share: Share, scope: SweepScope) {
    this.#parts = scope === "everything" ? this.#everything(share) : [() => sweepInbox(share, scope)];
  }

  async round(): Promise<Swept> {
    for (let names = 1; names <= NAMES_A_ROUND; names++) {
      if (!(await this.#next())) return this.#report(false);
      if (names % NAMES_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return this.#report(true);
  }

  #report(more: boolean): Swept {
    const removed = this.#removed;
    this.#removed = { ...NOTHING };
    return { removed, more };
  }

  #everything(share: Share): (() => Names)[] {
    const { commands, status, temporaries } = share.layout;
    return [
      () => sweepReplies(share, "shared"),
      () => sweepInbox(share, "shared"),
      ...temporaries.map((folder) => () => sweepTemporaries(share, folder)),
      () => sweepClaims(share),
      () => agentFolders(share, commands, (agent) => this.#parts.push(() => sweepInbox(share, { agent }))),
      () => agentFolders(share, status, (replyTo) => this.#parts.push(() => sweepReplies(share, { replyTo }))),
    ];
  }

  /** Deals with one name. @returns false when no name is left */
  async #next(): Promise<boolean> {
    for (;;) {
      this.#part ??= this.#parts.shift()?.();
      if (this.#part === undefined) return false;
      // A part that fails ends there.
      const { done, value } = await this.#part.next().catch((error: unknown) => {
        this.#part = undefined;
        throw error;
      });
      if (done === true) this.#part = undefined;
      else {
        if (value !== null) this.#removed[value] += 1;
        return true;
      }
    }
  }
}
