// The share driver: the seam over a shared folder. Imports the seam, errors and its own files.
import { join } from "node:path";
import type { Check } from "../../base/check.ts";
import { CourierError } from "../../base/errors.ts";
import { LIMITS } from "../../protocol.ts";
import type {
  Closable,
  Delivery,
  Holder,
  Inbox,
  Listener,
  PublishOptions,
  Reply,
  ReplyAddress,
  StateRecord,
  SweepScope,
  Swept,
  Transport,
} from "../../transport.ts";
import { poolPrimitives } from "./calls/network.ts";
import { claimedKeys, takeClaim } from "./claims.ts";
import { examineShare } from "./examine/examine.ts";
import { isDenied, isGone, shareFailure } from "./failures.ts";
import { deliveryKey } from "./files/content.ts";
import { publishFile, sampleTime } from "./files/publish.ts";
import { lookUp, lookUpShown } from "./files/read.ts";
import { COMMAND_FILES, type Folder, RESPONSE_FILES, STATE_FILES } from "./layout.ts";
import { learnTime } from "./learn_time.ts";
import { type FileCalls, Share, type ShareOptions } from "./share.ts";
import { instantMs } from "./share_clock.ts";
import { States } from "./states.ts";
import { Sweeps } from "./sweep/sweep.ts";
import { readDelivery, watchInbox } from "./watch/inbox.ts";
import { Cure } from "./watch/legacy_lists.ts";
import { Replies } from "./watch/replies.ts";

/** What a listing has shown of answers holds so long. */
const ANSWERS_SHOWN_FOR_MS = 1_000;
/** Between attempts to take a command back. */
const RETRY_MS = 1_000;
/** So long a handle that is closed waits for commands that it takes back. */
const LAST_TRY_MS = 2_000;

export class ShareTransport implements Transport {
  readonly #share: Share;
  readonly #states: States;
  readonly #sweeps: Sweeps;
  readonly #open = new Set<Closable>();
  readonly #replies = new Set<Replies>();
  readonly #takingBack = new Set<Promise<void>>();
  readonly #options: ShareOptions;
  readonly #calls: FileCalls | undefined;
  #isConnected = false;

  /** @param root the shared folder, absolute */
  constructor(root: string, options: ShareOptions, calls?: FileCalls) {
    this.#share = new Share(root, options, calls);
    this.#states = new States(this.#share);
    this.#sweeps = new Sweeps(this.#share);
    this.#options = options;
    this.#calls = calls;
  }

  async connect(): Promise<void> {
    if (this.#isConnected) return;
    const { root } = this.#share.layout;
    try {
      await this.#share.examine(true);
      await this.#readTime();
    } catch (error) {
      const failure = await shareFailure(error, "use the share", root, this.#share);
      if (failure.code === "unavailable") throw failure;
      throw new CourierError("unavailable", failure.message, { hint: failure.hint, cause: error });
    }
    this.#isConnected = true;
    if (this.#options.curesLegacyBackends !== true) return;
    const cure = new Cure(this.#share);
    this.#closable(async () => await cure.close());
  }

  async close(): Promise<void> {
    this.#isConnected = false;
    if (this.#takingBack.size > 0) {
      await Promise.race([Promise.all(this.#takingBack), this.#share.clock.sleep(LAST_TRY_MS)]);
    }
    await Promise.all([...this.#open].map(async (closable) => await closable.close()));
  }

  now(): number {
    if (this.#isConnected && this.#share.time.isInStep && this.#share.time.askForSample()) {
      this.#readTime().catch((error: unknown) => this.#share.log.debug({ error }, "share's time not read"));
    }
    return this.#share.time.now();
  }

  get description(): string {
    const { description, time } = this.#share;
    return this.#isConnected && !time.isInStep ? `${description} (read-only: by this machine's clock)` : description;
  }

  examine(): AsyncIterable<Check> {
    return examineShare(this.#share.layout.root, this.#calls?.network ?? poolPrimitives, this.#options);
  }

  async send(inbox: Inbox, id: string, text: string, { durable }: PublishOptions): Promise<void> {
    const folder = this.#share.layout.inbox(inbox);
    for (const replies of this.#replies) replies.expect(id);
    await this.#attempt(`send ${JSON.stringify(id)}`, folder, async () => {
      if (!(await this.#publishCommand(folder, COMMAND_FILES.format(id), text, durable))) throw noInbox(inbox);
    }).catch((error: unknown) => {
      this.#settle(id);
      throw error;
    });
  }

  async withdraw(inbox: Inbox, id: string): Promise<boolean> {
    this.#settle(id);
    const folder = this.#share.layout.inbox(inbox);
    const action = `withdraw ${JSON.stringify(id)}`;
    return await this.#attempt(action, folder, async () => await this.#remove(folder, COMMAND_FILES.format(id)));
  }

  async openReplies(
    address: ReplyAddress,
    wanted: (id: string) => boolean,
    deliver: (reply: Reply) => void,
  ): Promise<Closable> {
    const replies = new Replies(this.#share, address, wanted, (reply) => {
      this.#settle(reply.id);
      this.#callBack(() => deliver(reply));
    });
    await this.#attempt("receive replies", this.#share.layout.replies(address), async () => await replies.open());
    this.#replies.add(replies);
    return this.#closable(async () => {
      this.#replies.delete(replies);
      await replies.close();
    });
  }

  async releaseReply(address: ReplyAddress, id: string): Promise<void> {
    const folder = this.#share.layout.replies(address);
    const action = `release the reply ${JSON.stringify(id)}`;
    await this.#attempt(action, folder, async () => await this.#remove(folder, RESPONSE_FILES.format(id)));
  }

  async openInbox(inbox: Inbox): Promise<void> {
    const folder = this.#share.layout.inbox(inbox);
    await this.#attempt("make an inbox", folder, async () => await this.#share.madeFolder(folder));
  }

  async receive(inbox: Inbox, listener: Listener): Promise<Closable> {
    const folder = this.#share.layout.inbox(inbox);
    await this.#attempt("receive", folder, async () => {
      if ((await this.#share.folder(folder)) === null) throw noInbox(inbox);
    });
    const watch = watchInbox(this.#share, inbox, {
      deliver: (delivery) => this.#callBack(() => listener.deliver(delivery)),
      refuse: (name, reason) => this.#callBack(() => listener.refuse?.(name, reason)),
      interrupted: (error) => this.#callBack(() => listener.interrupted?.(error)),
      restored: () => this.#callBack(() => listener.restored?.()),
    });
    return this.#closable(async () => await watch.close());
  }

  async isUnchanged(delivery: Delivery): Promise<boolean> {
    const folder = this.#share.layout.inbox(delivery.inbox);
    return await this.#attempt("look again", folder, async () => await this.#lies(folder, delivery));
  }

  async claim(delivery: Delivery, holder: Holder): Promise<boolean> {
    const { claims } = this.#share.layout;
    const action = `claim ${JSON.stringify(delivery.key)}`;
    return await this.#attempt(action, claims, async () => await takeClaim(this.#share, delivery.key, holder));
  }

  async claimedBy(holder: Holder): Promise<readonly Delivery[]> {
    const { claims } = this.#share.layout;
    return await this.#attempt("look for claimed commands", claims, async () => {
      const found: Delivery[] = [];
      for (const [id, key] of await claimedKeys(this.#share, holder)) {
        const delivery = await readDelivery(this.#share, id);
        if (delivery?.key === key) found.push(delivery);
      }
      return found.toSorted((a, b) => a.sentAtMs - b.sentAtMs || (a.id < b.id ? -1 : 1));
    });
  }

  async release(delivery: Delivery): Promise<void> {
    const folder = this.#share.layout.inbox(delivery.inbox);
    await this.#attempt(`release ${JSON.stringify(delivery.id)}`, folder, async () => {
      if (!(await this.#lies(folder, delivery)) || (await this.#share.folder(folder)) === null) return;
      await this.#unlink(folder, COMMAND_FILES.format(delivery.id));
    });
  }

  async respond(address: ReplyAddress, id: string, text: string, { durable }: PublishOptions): Promise<boolean> {
    const folder = this.#share.layout.replies(address);
    return await this.#attempt(
      `answer ${JSON.stringify(id)}`,
      folder,
      async () => await publishFile(this.#share, folder, RESPONSE_FILES.format(id), text, { durable }),
    );
  }

  async respondedAtMs(address: ReplyAddress, id: string): Promise<number | null> {
    const folder = this.#share.layout.replies(address);
    const name = RESPONSE_FILES.format(id);
    return await this.#attempt(`look for the answer to ${JSON.stringify(id)}`, folder, async () => {
      if ((await this.#share.folder(folder)) === null) return null;
      // Anyone who takes a folder of old commands over asks this thousands of times: not each is worth a listing.
      if (!(await this.#share.shows(folder, name, ANSWERS_SHOWN_FOR_MS))) return null;
      const found = await lookUpShown(this.#share, folder, name, 0);
      return found === null ? null : instantMs(found.facts.mtimeNs);
    });
  }

  async publishState(agent: string, text: string): Promise<void> {
    const { status } = this.#share.layout;
    await this.#attempt("publish the state", status, async () => {
      await publishFile(this.#share, status, STATE_FILES.format(agent), text, { durable: false });
    });
  }

  async sweep(scope: SweepScope): Promise<Swept> {
    const { layout } = this.#share;
    const folder = scope === "everything" ? layout.status : layout.inbox(scope);
    return await this.#attempt("sweep", folder, async () => await this.#sweeps.round(scope));
  }

  async readStates(): Promise<readonly StateRecord[]> {
    return await this.#attempt("read states", this.#share.layout.status, async () => await this.#states.readAll());
  }

  async readState(agent: string): Promise<StateRecord | null> {
    const { status } = this.#share.layout;
    return await this.#attempt("read a state", status, async () => await this.#states.read(agent));
  }

  /** Does it when connected; a failure is mapped here, and only here. */
  async #attempt<T>(action: string, folder: Folder, run: () => Promise<T>): Promise<T> {
    if (!this.#isConnected) {
      throw new CourierError("unavailable", `Cannot ${action}: ${this.#share.description} is not connected`);
    }
    try {
      return await run();
    } catch (error) {
      throw await shareFailure(error, action, folder.path, this.#share);
    }
  }

  async #readTime(): Promise<void> {
    try {
      await sampleTime(this.#share);
    } catch (error) {
      if (!isDenied(error)) throw error;
      // Who may only read, as gpuctl on somebody else's share may.
      await learnTime(this.#share, this.#states);
    }
  }

  async #lies(folder: Folder, { id, inbox, key }: Delivery): Promise<boolean> {
    const name = COMMAND_FILES.format(id);
    // Version 2 names are used once; those of the shared inbox again and again.
    const isShown =
      inbox !== "shared" && (await this.#share.folder(folder)) !== null && (await this.#share.shows(folder, name));
    const found = await (isShown ? lookUpShown : lookUp)(this.#share, folder, name, LIMITS.commandBytes);
    return found !== null && deliveryKey(id, found) === key;
  }

  /** Publishes a command. One whose sender was told that it failed must not come to light later: it is taken back. */
  async #publishCommand(folder: Folder, name: string, text: string, durable: boolean): Promise<boolean> {
    let mayBeThere = false;
    const renaming = (): void => {
      mayBeThere = true;
    };
    try {
      return await publishFile(this.#share, folder, name, text, { durable, renaming });
    } catch (error) {
      if (!mayBeThere) throw error;
      const taking = this.#takeBack(folder, name).finally(() => this.#takingBack.delete(taking));
      this.#takingBack.add(taking);
      const failure = await shareFailure(error, "publish it", folder.path, this.#share);
      if (failure.code !== "unavailable") throw failure;
      throw new CourierError("unavailable", `${failure.message}: whether the command is there is unknown`, {
        hint: "It may still be done: look again before repeating",
        cause: error,
      });
    }
  }

  /** Tries until the share answered. */
  async #takeBack(folder: Folder, name: string): Promise<void> {
    const { clock, log } = this.#share;
    for (;;) {
      await this.#share.opened();
      try {
        await this.#remove(folder, name);
        return;
      } catch (error) {
        const failure = await shareFailure(error, `take ${name} back`, folder.path, this.#share);
        log.debug({ error: failure }, "command not taken back");
        if (failure.code !== "unavailable" || !this.#isConnected) return;
      }
      await clock.sleep(RETRY_MS);
    }
  }

  #settle(id: string): void {
    for (const replies of this.#replies) replies.settle(id);
  }

  async #remove(folder: Folder, name: string): Promise<boolean> {
    if ((await this.#share.folder(folder)) === null || !(await this.#share.shows(folder, name))) return false;
    return await this.#unlink(folder, name);
  }

  async #unlink(folder: Folder, name: string): Promise<boolean> {
    try {
      await this.#share.fs.unlink(join(folder.path, name));
      return true;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }

  #callBack(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#share.log.error({ error }, "a subscriber failed");
    }
  }

  #closable(end: () => Promise<void>): Closable {
    const closable: Closable = {
      close: async () => {
        if (this.#open.delete(closable)) await end();
      },
    };
    this.#open.add(closable);
    return closable;
  }
}

function noInbox(inbox: Inbox): CourierError {
  const agent = inbox === "shared" ? "shared" : inbox.agent;
  return new CourierError("not_found", `No agent has an inbox as ${JSON.stringify(agent)}`);
}
