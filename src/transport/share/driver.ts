// The share driver: the transport contract over a shared folder, with each failure mapped once.
import type { Check } from "../../base/check.ts";
import { CourierError, systemCode } from "../../base/errors.ts";
import { LIMITS } from "../../protocol.ts";
import type {
  Closable,
  Content,
  Delivery,
  Forgotten,
  Holder,
  Inbox,
  Listener,
  PublishOptions,
  Reply,
  ReplyAddress,
  Sent,
  StateReader,
  StateRecord,
  StateWatcher,
  SweepScope,
  Swept,
  Transport,
} from "../../transport.ts";
import { Closables } from "../closables.ts";
import { poolPrimitives } from "./calls/network.ts";
import { examineShare } from "./examine/examine.ts";
import { isUnknown, shareFailure } from "./failures.ts";
import type { Folder } from "./layout.ts";
import { Awaited } from "./messages/awaited.ts";
import { ChangedStates } from "./messages/changed_states.ts";
import { claimedBy, takeClaim } from "./messages/claims.ts";
import { Commands, requireInbox } from "./messages/commands.ts";
import { forgetAgent } from "./messages/forget.ts";
import { publishResponse, removeResponse, respondedAtMs } from "./messages/responses.ts";
import { RosterFile } from "./messages/roster.ts";
import { States } from "./messages/states.ts";
import { type FileCalls, Share, type ShareOptions } from "./share.ts";
import { Sweeps } from "./sweep/sweep.ts";
import { readTime } from "./time/learn_time.ts";
import { AttributeCacheWorkaround } from "./watch/attribute_cache_workaround.ts";
import { watchInbox } from "./watch/inbox.ts";
import { Replies } from "./watch/replies.ts";
import { StateWatch } from "./watch/states.ts";

export class ShareTransport implements Transport {
  readonly hasSharedInbox = true;
  readonly mostStates = LIMITS.states;
  readonly lookEveryMs = 0;
  readonly #share: Share;
  readonly #awaited: Awaited;
  readonly #commands: Commands;
  readonly #states: States;
  readonly #roster: RosterFile;
  readonly #sweeps: Sweeps;
  readonly #open = new Closables();
  readonly #options: ShareOptions;
  readonly #calls: FileCalls | undefined;
  /** The unknown errors that were logged. */
  readonly #unknown = new Set<string>();
  #isConnected = false;

  /** @param root the shared folder, absolute */
  constructor(root: string, options: ShareOptions, calls?: FileCalls) {
    this.#share = new Share(root, options, calls);
    this.#awaited = new Awaited(options.clock);
    this.#commands = new Commands(this.#share, this.#awaited);
    this.#states = new States(this.#share);
    this.#roster = new RosterFile(this.#share);
    this.#sweeps = new Sweeps(this.#share);
    this.#options = options;
    this.#calls = calls;
  }

  async connect(): Promise<void> {
    if (this.#isConnected) return;
    const { root } = this.#share.layout;
    try {
      await this.#share.examine(true);
      await readTime(this.#share);
    } catch (error) {
      const failure = await shareFailure(error, "use the share", root, this.#share);
      if (failure.code === "unavailable") throw failure;
      throw new CourierError("unavailable", failure.message, { hint: failure.hint, cause: error });
    }
    this.#isConnected = true;
    if (this.#options.listsForLegacyBackends !== true) return;
    const lists = new AttributeCacheWorkaround(this.#share);
    this.#open.add(async () => await lists.close());
  }

  async close(): Promise<void> {
    this.#isConnected = false;
    await this.#commands.close();
    await this.#open.close();
  }

  now(): number {
    if (this.#isConnected && this.#share.time.isInStep && this.#share.time.askForSample()) {
      readTime(this.#share).catch((error: unknown) => {
        this.#share.log.debug({ error }, "Cannot read the share's time");
      });
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
    const publish = async (): Promise<void> => await this.#commands.publish(inbox, id, text, durable);
    await this.#attempt(`send ${JSON.stringify(id)}`, this.#share.layout.inbox(inbox), publish);
  }

  async withdraw(inbox: Inbox, id: string): Promise<boolean> {
    const withdraw = async (): Promise<boolean> => await this.#commands.withdraw(inbox, id);
    return await this.#attempt(`withdraw ${JSON.stringify(id)}`, this.#share.layout.inbox(inbox), withdraw);
  }

  async openReplies(
    address: ReplyAddress,
    wanted: (id: string) => boolean,
    accept: (reply: Reply) => boolean,
  ): Promise<Closable> {
    const replies = new Replies(address, { share: this.#share, awaited: this.#awaited, wanted, accept });
    await this.#attempt("receive replies", this.#share.layout.replies(address), async () => await replies.open());
    return this.#open.add(async () => await replies.close());
  }

  async releaseReply(address: ReplyAddress, id: string): Promise<void> {
    const remove = async (): Promise<void> => await removeResponse(this.#share, address, id);
    await this.#attempt(`release the reply ${JSON.stringify(id)}`, this.#share.layout.replies(address), remove);
  }

  async openInbox(inbox: Inbox): Promise<void> {
    const folder = this.#share.layout.inbox(inbox);
    await this.#attempt("make an inbox", folder, async () => await this.#share.madeFolder(folder));
  }

  async receive(inbox: Inbox, listener: Listener): Promise<Closable> {
    const folder = this.#share.layout.inbox(inbox);
    await this.#attempt("receive", folder, async () => await requireInbox(this.#share, inbox));
    const watch = watchInbox(this.#share, inbox, listener);
    return this.#open.add(async () => await watch.close());
  }

  async commandsIn(inbox: Inbox, wanted: (id: string) => boolean, most: number): Promise<readonly Sent[]> {
    const folder = this.#share.layout.inbox(inbox);
    return await this.#attempt("list commands", folder, async () => await this.#commands.list(inbox, wanted, most));
  }

  async isUnchanged(delivery: Delivery): Promise<boolean> {
    const folder = this.#share.layout.inbox(delivery.inbox);
    return await this.#attempt("look again", folder, async () => await this.#commands.isUnchanged(delivery));
  }

  async claim(delivery: Delivery, holder: Holder): Promise<boolean> {
    const claim = async (): Promise<boolean> => await takeClaim(this.#share, delivery.key, holder);
    return await this.#attempt(`claim ${JSON.stringify(delivery.key)}`, this.#share.layout.claims, claim);
  }

  async claimedBy(holder: Holder): Promise<readonly Delivery[]> {
    const { claims } = this.#share.layout;
    return await this.#attempt("look for claimed commands", claims, async () => await claimedBy(this.#share, holder));
  }

  async release(delivery: Delivery): Promise<boolean> {
    const remove = async (): Promise<boolean> => await this.#commands.remove(delivery);
    return await this.#attempt(
      `release ${JSON.stringify(delivery.id)}`,
      this.#share.layout.inbox(delivery.inbox),
      remove,
    );
  }

  async respond(address: ReplyAddress, id: string, text: string, options: PublishOptions): Promise<boolean> {
    const publish = async (): Promise<boolean> => await publishResponse(this.#share, address, id, text, options);
    return await this.#attempt(`respond to ${JSON.stringify(id)}`, this.#share.layout.replies(address), publish);
  }

  async respondedAtMs(address: ReplyAddress, id: string): Promise<number | null> {
    const action = `look for the response to ${JSON.stringify(id)}`;
    const look = async (): Promise<number | null> => await respondedAtMs(this.#share, address, id);
    return await this.#attempt(action, this.#share.layout.replies(address), look);
  }

  async publishState(agent: string, text: string): Promise<void> {
    const publish = async (): Promise<void> => await this.#states.publish(agent, text);
    await this.#attempt("publish the state", this.#share.layout.status, publish);
  }

  async renewState(agent: string, _sequence: number, text: string): Promise<void> {
    await this.publishState(agent, text);
  }

  async sweep(scope: SweepScope): Promise<Swept> {
    const { layout } = this.#share;
    const folder = scope === "everything" ? layout.status : layout.inbox(scope);
    return await this.#attempt("sweep", folder, async () => await this.#sweeps.round(scope));
  }

  async forget(agent: string, publishedAtMs: number): Promise<Forgotten | null> {
    const forget = async (): Promise<Forgotten | null> =>
      await forgetAgent(this.#share, this.#states, agent, publishedAtMs);
    return await this.#attempt(`forget ${JSON.stringify(agent)}`, this.#share.layout.commands, forget);
  }

  async readStates(): Promise<readonly StateRecord[]> {
    return await this.#attempt("read states", this.#share.layout.status, async () => await this.#states.readAll());
  }

  openStates(): StateReader {
    const states = new ChangedStates(this.#share);
    const { status } = this.#share.layout;
    return {
      read: async (changed) => await this.#attempt("read states", status, async () => await states.read(changed)),
    };
  }

  async readState(agent: string): Promise<StateRecord | null> {
    const { status } = this.#share.layout;
    return await this.#attempt("read a state", status, async () => await this.#states.read(agent));
  }

  async watchStates(watcher: StateWatcher): Promise<Closable> {
    const { status } = this.#share.layout;
    await this.#attempt("watch states", status, async () => await this.#share.folder(status));
    const watch = new StateWatch(this.#share, watcher);
    return this.#open.add(async () => await watch.close());
  }

  async readRoster(): Promise<Content | null> {
    const { status } = this.#share.layout;
    return await this.#attempt("read the roster", status, async () => await this.#roster.read());
  }

  async publishRoster(text: string): Promise<void> {
    const { status } = this.#share.layout;
    await this.#attempt("publish the roster", status, async () => await this.#roster.publish(text));
  }

  /** Runs it when connected. Failures are mapped here, and only here. */
  async #attempt<T>(action: string, folder: Folder, run: () => Promise<T>): Promise<T> {
    if (!this.#isConnected) {
      throw new CourierError("unavailable", `Cannot ${action}: ${this.#share.description} is not connected`);
    }
    try {
      return await run();
    } catch (error) {
      this.#logUnknown(error);
      throw await shareFailure(error, action, folder.path, this.#share);
    }
  }

  #logUnknown(error: unknown): void {
    const code = systemCode(error);
    if (!isUnknown(error) || code === undefined || this.#unknown.has(code)) return;
    this.#unknown.add(code);
    this.#share.log.warn({ error }, "Unknown error of the share; retrying");
  }
}
