// Several transports as one, for those who send commands: each agent is reached on the transport where it is alive.
import { about, type Check } from "../base/check.ts";
import type { Clock } from "../base/clock.ts";
import { asCourierError, CourierError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { Outage } from "../base/outage.ts";
import { LEGACY_SERVICE_AGENT } from "../protocol.ts";
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
} from "../transport.ts";
import { Closables } from "./closables.ts";
import { checkNames } from "./several/check_names.ts";
import type { KnownKeys } from "./several/choice.ts";
import { Member } from "./several/member.ts";
import { ReplyAddresses } from "./several/replies.ts";
import { newestRoster } from "./several/roster.ts";
import { States } from "./several/states.ts";
import { MergedWatch } from "./several/watch.ts";

export interface SeveralDeps {
  /** Of two documents under one name, the one that is signed by the known key counts. */
  readonly keys: KnownKeys;
  readonly clock: Clock;
  readonly log: Log;
  /** Called once for each transport that is away while `connect()` reaches others. */
  readonly left?: (description: string, failure: CourierError) => void;
}

type Transports = readonly [Transport, ...Transport[]];

/** Another transport has answered: the rest may take this long in addition. */
const CONNECT_MS = 5_000;

/** Of how many agents at least one of them delivers the documents. */
export function mostStatesOf(transports: readonly Pick<Transport, "mostStates">[]): number {
  return Math.max(...transports.map(({ mostStates }) => mostStates));
}

/** @returns a handle on all of them; the only one itself */
export function several(transports: Transports, deps: SeveralDeps): Transport {
  return transports.length === 1 ? transports[0] : new SeveralTransports(transports, deps);
}

/**
 * Routes by the names of agents. Their documents say where they are, and each keeps the clock of its transport. The shared inbox is that
 * of the legacy service, else of the first transport that has one. An agent has one transport: what only agents call goes to the first.
 */
class SeveralTransports implements Transport {
  readonly #members: readonly Member[];
  readonly #first: Transport;
  readonly #deps: SeveralDeps;
  readonly #states: States;
  readonly #replies: ReplyAddresses;
  readonly #open = new Closables();
  /** Where commands went that are neither answered nor withdrawn: their agent may have moved since. */
  readonly #sentTo = new Map<string, Member>();
  /** Those that `left` was called for. */
  readonly #named = new Set<Member>();

  constructor(transports: Transports, deps: SeveralDeps) {
    const { clock, log } = deps;
    this.#members = transports.map(
      (transport) => new Member(transport, new Outage({ clock, log, subject: transport.description })),
    );
    this.#first = transports[0];
    this.#deps = deps;
    this.#states = new States(this.#members, deps.keys);
    this.#replies = new ReplyAddresses(this.#members);
  }

  /** Resolves when one is connected and the others had their time. A watch and later calls of this method try them again. */
  async connect(): Promise<void> {
    const { left } = this.#deps;
    for (const { member, failure } of await this.#connect()) {
      if (!this.#named.has(member)) left?.(member.description, failure);
      this.#named.add(member);
    }
  }

  /** @returns those that are away */
  async #connect(): Promise<readonly { readonly member: Member; readonly failure: CourierError }[]> {
    const connecting = this.#members.map(async (member) => await member.connect());
    const all = Promise.allSettled(connecting);
    const late = new AbortController();
    try {
      await Promise.any(connecting);
    } catch {
      requireDone(await all);
    }
    const results = await Promise.race([all, this.#deps.clock.sleep(CONNECT_MS, late.signal)]);
    late.abort();
    return this.#members.flatMap((member, index) => {
      const result = results?.[index];
      if (member.isConnected || result?.status === "fulfilled") return [];
      return [{ member, failure: result === undefined ? tooSlow(member) : asCourierError(result.reason) }];
    });
  }

  async close(): Promise<void> {
    await this.#open.close();
    await Promise.all(this.#members.map(async (member) => await member.close()));
  }

  now(agent?: string): number {
    const home = agent === undefined ? undefined : this.#states.home(agent);
    return (home?.transport ?? this.#first).now();
  }

  get description(): string {
    return this.#members.map(({ description }) => description).join(" and ");
  }

  get hasSharedInbox(): boolean {
    return this.#members.some(({ transport }) => transport.hasSharedInbox);
  }

  get mostStates(): number {
    return mostStatesOf(this.#members.map(({ transport }) => transport));
  }

  get lookEveryMs(): number {
    return this.#first.lookEveryMs;
  }

  async *examine(): AsyncIterable<Check> {
    for (const { transport, description } of this.#members)
      for await (const check of transport.examine()) yield { ...check, subject: subjectOn(description, check) };
    try {
      await this.#connect();
      yield* checkNames(await this.#states.choices());
    } catch (error) {
      yield about("transports").failedBy(error);
    }
  }

  async send(inbox: Inbox, id: string, text: string, options: PublishOptions): Promise<void> {
    let failure: unknown;
    for (const member of await this.#placesOf(inbox)) {
      try {
        // Its response must find its way back.
        await this.#replies.openAt(member);
        this.#sentTo.set(id, member);
        return await member.transport.send(inbox, id, text, options);
      } catch (error) {
        this.#sentTo.delete(id);
        failure = error;
        if (asCourierError(error).code !== "not_found") break;
      }
    }
    throw failure;
  }

  async withdraw(inbox: Inbox, id: string): Promise<boolean> {
    const results = await this.#whereSent(id, async ({ transport }) => await transport.withdraw(inbox, id));
    if (results.some((result) => result.status === "fulfilled" && result.value)) return true;
    // One that cannot be asked may have it.
    requireDone(results.filter((result) => !isOnlyOfShares(result)));
    return false;
  }

  async openReplies(
    address: ReplyAddress,
    wanted: (id: string) => boolean,
    accept: (reply: Reply) => boolean,
  ): Promise<Closable> {
    const opened = await this.#replies.open(address, wanted, accept);
    return this.#open.add(async () => await opened.close());
  }

  async releaseReply(address: ReplyAddress, id: string): Promise<void> {
    requireDone(await this.#whereSent(id, async ({ transport }) => await transport.releaseReply(address, id)));
  }

  async forget(agent: string, publishedAtMs: number): Promise<Forgotten | null> {
    const choice = await this.#states.find(agent);
    if (choice === null) return await this.#first.forget(agent, publishedAtMs);
    const forgotten = await choice.used.member.transport.forget(agent, publishedAtMs);
    if (forgotten === null) return null;
    let { commands } = forgotten;
    // What it left on another transport would stand for it from now on.
    for (const { member, record, relation } of choice.others) {
      if (relation !== "same") continue;
      commands += (await member.transport.forget(agent, record.publishedAtMs))?.commands ?? 0;
    }
    return { commands };
  }

  async readStates(): Promise<readonly StateRecord[]> {
    return await this.#states.readAll();
  }

  async readState(agent: string): Promise<StateRecord | null> {
    return await this.#states.read(agent);
  }

  async watchStates(watcher: StateWatcher): Promise<Closable> {
    const { clock } = this.#deps;
    const watch = new MergedWatch({ members: this.#members, states: this.#states, watcher, clock });
    await watch.open();
    return this.#open.add(async () => await watch.close());
  }

  async readRoster(): Promise<Content | null> {
    return await newestRoster(this.#members);
  }

  /** Boxes read the one on their own transport. @throws CourierError the first failure, after it tried all */
  async publishRoster(text: string): Promise<void> {
    const results = await Promise.allSettled(
      this.#members.map(async ({ transport }) => await transport.publishRoster(text)),
    );
    for (const [index, result] of results.entries()) {
      if (result.status === "fulfilled") continue;
      const { code, message, hint } = asCourierError(result.reason);
      const place = this.#members[index]?.description;
      throw new CourierError(code, `Not published on ${place}: ${message}`, { hint, cause: result.reason });
    }
  }

  // ---- what only agents call

  async openInbox(inbox: Inbox): Promise<void> {
    await this.#first.openInbox(inbox);
  }

  async receive(inbox: Inbox, listener: Listener): Promise<Closable> {
    return await this.#first.receive(inbox, listener);
  }

  async commandsIn(inbox: Inbox, wanted: (id: string) => boolean, most: number): Promise<readonly Sent[]> {
    return await this.#first.commandsIn(inbox, wanted, most);
  }

  async isUnchanged(delivery: Delivery): Promise<boolean> {
    return await this.#first.isUnchanged(delivery);
  }

  async claim(delivery: Delivery, holder: Holder): Promise<boolean> {
    return await this.#first.claim(delivery, holder);
  }

  async claimedBy(holder: Holder): Promise<readonly Delivery[]> {
    return await this.#first.claimedBy(holder);
  }

  async release(delivery: Delivery): Promise<boolean> {
    return await this.#first.release(delivery);
  }

  async respond(address: ReplyAddress, id: string, text: string, options: PublishOptions): Promise<boolean> {
    return await this.#first.respond(address, id, text, options);
  }

  async respondedAtMs(address: ReplyAddress, id: string): Promise<number | null> {
    return await this.#first.respondedAtMs(address, id);
  }

  async publishState(agent: string, text: string): Promise<void> {
    await this.#first.publishState(agent, text);
  }

  async renewState(agent: string, sequence: number, text: string): Promise<void> {
    await this.#first.renewState(agent, sequence, text);
  }

  async sweep(scope: SweepScope): Promise<Swept> {
    return await this.#first.sweep(scope);
  }

  openStates(): StateReader {
    return this.#first.openStates();
  }

  /** Where an inbox is. Of an agent that has published nothing, any transport may have it. */
  async #placesOf(inbox: Inbox): Promise<readonly Member[]> {
    const agent = inbox === "shared" ? LEGACY_SERVICE_AGENT : inbox.agent;
    if (this.#states.home(agent) === undefined) await this.#states.read(agent).catch(() => null);
    const home = this.#states.home(agent);
    if (home !== undefined) return [home];
    return inbox === "shared" && this.hasSharedInbox
      ? this.#members.filter(({ transport }) => transport.hasSharedInbox)
      : this.#members;
  }

  /** Where the command went; if that is no longer known, everywhere. */
  async #whereSent<Result>(id: string, call: (member: Member) => Promise<Result>): Promise<readonly Settled<Result>[]> {
    const member = this.#sentTo.get(id);
    this.#sentTo.delete(id);
    return await Promise.allSettled((member === undefined ? this.#members : [member]).map(call));
  }
}

/** Two shares have the same checks. */
function subjectOn(description: string, { subject }: Check): string {
  return subject === null ? description : `${subject} on ${description}`;
}

type Settled<Result> = PromiseSettledResult<Result>;

/** @throws CourierError the first failure */
function requireDone(results: readonly Settled<unknown>[]): void {
  for (const result of results) if (result.status === "rejected") throw asCourierError(result.reason);
}

/** Not every transport has the shared inbox. */
function isOnlyOfShares(result: Settled<unknown>): boolean {
  return result.status === "rejected" && asCourierError(result.reason).code === "unimplemented";
}

function tooSlow({ description }: Member): CourierError {
  return new CourierError("unavailable", `${description} does not answer`);
}
