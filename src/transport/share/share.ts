// The mounted share of one handle: its kind, how it is called and watched, and its folders, checked at each use.
import { basename, dirname, join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { Slots } from "../../base/slots.ts";
import { openingDirectly } from "./calls/direct.ts";
import { localPrimitives } from "./calls/local.ts";
import { gatedPrimitives, poolPrimitives } from "./calls/network.ts";
import { type Facts, isGone, type Primitives } from "./calls/primitives.ts";
import { Gate } from "./calls/stall_gate.ts";
import { factsAt, makeRealFolder, realFolder } from "./folders/folders.ts";
import { type At, byName, inside } from "./folders/held.ts";
import { Listings } from "./folders/listings.ts";
import { type Folder, Layout } from "./layout.ts";
import { type Kind, mountedAs } from "./mount/mount.ts";
import { examineRoot, missingTop, rememberKind } from "./mount/root.ts";
import { ShareClock } from "./time/share_clock.ts";

export interface ShareOptions {
  /** Whether this process may make the two top folders: never, at its first start on a network file system, or always. */
  readonly create: "never" | "network" | "always";
  /** Forces how the share is watched and called; `auto` uses the kind of file system. */
  readonly watch: "auto" | "local" | "network";
  readonly clock: Clock;
  readonly log: Log;
  /** A file outside the share that remembers the kind of file system, to notice a share that is not mounted. */
  readonly rememberIn?: string;
  /** Whether this process lists folders so that legacy backends on this machine see their responses: `AttributeCacheWorkaround`. */
  readonly listsForLegacyBackends?: boolean;
}

/** The disk as an argument: the file calls for each kind of file system. */
export interface FileCalls {
  readonly local: Primitives;
  /** Ungated. */
  readonly network: Primitives;
}

/** The result of the last examination. */
interface Mounted {
  readonly fs: Primitives;
  readonly isNetwork: boolean;
  readonly goesByMtime: boolean;
  readonly replacesInSteps: boolean;
  readonly description: string;
}

/** Of a share that was not examined yet. */
const UNKNOWN_KIND = { isNetwork: true, goesByMtime: false, replacesInSteps: false } as const;
/** Operations that hold folders: each needs a few descriptors, and the gate lets fewer calls through. */
const HELD_AT_A_TIME = 32;

const SYSTEM_CALLS: FileCalls = { local: localPrimitives, network: poolPrimitives };

export class Share {
  readonly layout: Layout;
  readonly clock: Clock;
  readonly log: Log;
  readonly time: ShareClock;
  readonly #options: ShareOptions;
  readonly #local: Primitives;
  /** For the first calls, while it is unknown whether the file system can hang. */
  readonly #probe: Primitives;
  readonly #gate: Gate;
  readonly #listings: Listings;
  readonly #holding = new Slots(HELD_AT_A_TIME);
  /** The devices of the top folders when they were looked at. */
  readonly #devices = new Map<string, bigint>();
  #mounted: Mounted;

  constructor(root: string, options: ShareOptions, { local, network }: FileCalls = SYSTEM_CALLS) {
    this.layout = new Layout(root);
    this.clock = options.clock;
    this.log = options.log;
    this.time = new ShareClock(options.clock);
    this.#options = options;
    this.#local = local;
    this.#gate = new Gate(options.clock);
    this.#probe = gatedPrimitives(network, this.#gate);
    this.#listings = new Listings(this.#probe, options.clock);
    this.#mounted = { fs: this.#probe, ...UNKNOWN_KIND, description: `share at ${root}` };
  }

  /** The file calls that suit the file system. */
  get fs(): Primitives {
    return this.#mounted.fs;
  }

  /** Whether only listings show changes: those of other machines cause no events here. */
  get isNetwork(): boolean {
    return this.#mounted.isNetwork;
  }

  /**
   * Whether the kernel notices changes of a folder only by its mtime, as under NFSv3: of two changes within one tick the
   * second may then stay invisible until the next change.
   */
  get goesByMtime(): boolean {
    return this.#mounted.goesByMtime;
  }

  /**
   * Whether a file that is replaced while somebody reads it is away until its reader has closed it, as under SMB: its writer's
   * kernel removes the old one, which waits for the reader, and the writer then tries again for 100 ms (`repeated`).
   */
  get replacesInSteps(): boolean {
    return this.#mounted.replacesInSteps;
  }

  get description(): string {
    return this.#mounted.description;
  }

  /** Resolves once no call hangs. */
  async opened(): Promise<void> {
    await this.#gate.opened();
  }

  /**
   * Finds out what the share is on, and checks that its folders exist.
   * @param first makes the folders if that is allowed; later they are missing because something was unmounted
   * @throws CourierError `unavailable` with the reason and a hint
   */
  async examine(first: boolean): Promise<void> {
    const { root, commands, status } = this.layout;
    const { watch, rememberIn } = this.#options;
    const { facts: rootFacts, kind, isRemembered } = await examineRoot(this.#probe, root, rememberIn);
    const isNetwork = watch === "auto" ? kind.isNetwork : watch === "network";
    // Until its folders are found this may be an empty mount point, and the share may be back before the next call.
    this.#mounted = { ...this.#mounted, fs: this.#probe, isNetwork: true };
    this.#listings.clear();
    for (const { path } of [commands, status]) {
      const facts =
        (await this.#realTop(path)) ?? (await this.#makeTop(path, first && this.#mayMake(kind, isRemembered)));
      this.#devices.set(path, facts.dev);
    }
    const type = mountedAs(rootFacts.dev) ?? kind.name;
    const forced = isNetwork === kind.isNetwork ? "" : ` (watched as ${watch})`;
    this.#mounted = {
      fs: isNetwork ? openingDirectly(this.#probe, type) : this.#local,
      isNetwork,
      // Linux calls versions 2 and 3 "nfs", and 4 "nfs4".
      goesByMtime: type === "nfs",
      replacesInSteps: isNetwork && /^(?:cifs|smb)/.test(kind.name),
      description: `${type} at ${root}${forced}`,
    };
    if (rememberIn !== undefined && !isRemembered) this.#remember(rememberIn, kind);
  }

  /**
   * The folder as it is now, on a network as it was in the last second: a real folder inside the known share.
   * @returns null when it is gone, which is believed only after its top folder was looked at again; a top folder never is
   * @throws CourierError `unavailable` when the share itself is gone, `forbidden` when it is a link
   */
  async folder(folder: Folder): Promise<Facts | null> {
    return (await this.#look(folder)) ?? (await this.folderAgain(folder));
  }

  /** As `folder`, from nothing that was seen before. */
  async folderAgain(folder: Folder): Promise<Facts | null> {
    this.forget(folder);
    return await this.#look(folder);
  }

  /**
   * Whether a name that a call found gone is no longer there. The call may also have failed because a folder above it was
   * away for a moment, so everything above is looked at again.
   * @throws CourierError as `folder`
   */
  async lacks(folder: Folder, name: string): Promise<boolean> {
    if ((await this.folderAgain(folder)) === null) return true;
    if (this.isNetwork) return !(await this.namesIn(folder)).has(name);
    return (await factsAt(this.fs, join(folder.path, name))) === null;
  }

  /** Forgets a folder that a call found gone, and its top: the next look begins with a listing. */
  forget({ path, top }: Folder): void {
    this.#listings.forget(path);
    this.#listings.forget(top);
  }

  /** The names in a folder, by a fresh listing. */
  async names(path: string): Promise<ReadonlySet<string>> {
    return this.isNetwork ? await this.#listings.names(path) : new Set(await this.fs.readdir(path));
  }

  /** As `names`, in a folder that may be gone by now: then nothing. @throws CourierError as `folder` */
  async namesIn(folder: Folder): Promise<ReadonlySet<string>> {
    return (await this.#whileThere(folder, async () => await this.names(folder.path))) ?? new Set();
  }

  /**
   * Whether a name is worth a call. On a network file system only a listing shows reliably what exists, and a call for a
   * name that no listing has shown makes the kernel remember "no such file" for up to a minute.
   * @param maxAgeMs how old the listing may be; without it any age
   */
  async shows(folder: Folder, name: string, maxAgeMs?: number): Promise<boolean> {
    if (!this.isNetwork) return true;
    const shows = async (): Promise<boolean> => await this.#listings.shows(folder.path, name, maxAgeMs);
    return (await this.#whileThere(folder, shows)) ?? false;
  }

  /** As `folder`, and makes it if it does not exist. */
  async madeFolder(folder: Folder): Promise<Facts> {
    return (await this.folderAgain(folder)) ?? (await this.#make(folder.path));
  }

  /** As `folder`, and makes the .tmp beside it, where files for it are written. */
  async targetFolder(folder: Folder): Promise<Facts | null> {
    const target = await this.folder(folder);
    const temporary = this.layout.temporary(folder);
    if (target !== null && (await this.folder(temporary)) === null) await this.#make(temporary.path);
    return target;
  }

  /**
   * Runs calls that change something in folders, all of one top folder, which were looked at just now. On a network none of
   * the calls leaves them, whatever their names lead to meanwhile; on a local disk the look was microseconds ago.
   * @throws the system's error: a name may be gone, or be a link now; look again
   */
  async inside<Value>(folders: readonly Folder[], run: (...at: At[]) => Promise<Value>): Promise<Value> {
    if (!this.isNetwork) return await run(...folders.map(byName));
    return await this.#holding.run(async () => await inside(this.fs, folders, run));
  }

  /** @returns null when the folder is gone: its facts may be a moment old */
  async #whileThere<Value>(folder: Folder, call: () => Promise<Value>): Promise<Value | null> {
    try {
      return await call();
    } catch (error) {
      if (!isGone(error)) throw error;
      return (await this.folderAgain(folder)) === null ? null : await call();
    }
  }

  async #look({ top, path }: Folder): Promise<Facts | null> {
    const facts = await this.#top(top);
    return path === top ? facts : await this.#real(path);
  }

  async #make(path: string): Promise<Facts> {
    // On a network the kernel's owner and mode may be a minute old, unless a listing has just updated them, as the one
    // that did not show this folder did. So an agent that waits for a share to be opened to a group gets them right.
    const parent = dirname(path);
    const facts = await this.fs.stat(parent);
    const make = async (at: At): Promise<Facts> =>
      await makeRealFolder(this.fs, { path, at: at(basename(path)) }, facts);
    // The share's own folder is the operator's, and may be a link.
    const isTop = parent === this.layout.root;
    const made = await (isTop
      ? make((name) => join(parent, name))
      : this.inside([{ top: parent, path: parent }], make));
    this.#listings.note(path, made);
    return made;
  }

  async #real(path: string): Promise<Facts | null> {
    return this.isNetwork ? await this.#listings.folder(path) : await realFolder(this.fs, path);
  }

  async #top(path: string): Promise<Facts> {
    const facts = await this.#realTop(path);
    if (facts !== null && facts.dev === this.#devices.get(path)) return facts;
    // Another device: unmounted, or mounted again. A new examination finds out which.
    await this.examine(false);
    const again = await this.#realTop(path);
    if (again !== null) return again;
    throw this.#missing(path);
  }

  /** The share works without it; only a different share at the next start would go unnoticed. */
  #remember(file: string, kind: Kind): void {
    try {
      rememberKind(file, kind);
    } catch (error) {
      this.log.warn({ file, error }, "Cannot save the share's file system type");
    }
  }

  async #realTop(path: string): Promise<Facts | null> {
    try {
      return await this.#real(path);
    } catch (error) {
      if (!(error instanceof CourierError) || error.code !== "forbidden") throw error;
      throw new CourierError("unavailable", error.message, { hint: error.hint, cause: error });
    }
  }

  /** On a share that was in use before, a missing folder is away: in a new one, what it holds would count as gone. */
  #mayMake({ isNetwork }: Kind, isRemembered: boolean): boolean {
    const { create } = this.#options;
    return create === "always" || (create === "network" && isNetwork && !isRemembered);
  }

  async #makeTop(path: string, allowed: boolean): Promise<Facts> {
    if (!allowed) throw this.#missing(path);
    return await this.#make(path);
  }

  #missing(path: string): CourierError {
    return missingTop(this.layout.root, path, this.#options.create === "never" ? "gpu-agent " : "");
  }
}
