// What the share of a chaos run is on: a local disk, a small tmpfs, or FUSE. Each can be mounted, unmounted and damaged.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "#tests/process/site/site.ts";
import { run, searchPath } from "#tests/support/debian.ts";
import type { SeededRandom } from "#tests/support/random.ts";
import { fillDisk, makeShare, mountMemory, pause } from "./folders.ts";
import { type Pace, USUAL_PACE } from "./pace.ts";

/** Breaks something, waits, and heals it. */
export interface Damage {
  readonly kind: string;
  inflict(random: SeededRandom): Promise<void>;
}

export interface Ground {
  readonly name: string;
  /** Whether the agents see it as a network share. */
  readonly isNetwork: boolean;
  /** Whether it can be read-only. */
  readonly mayDeny: boolean;
  readonly pace: Pace;
  /** The command that is gpu-agent there; undefined: its source. */
  readonly agent?: readonly string[];
  /** The share on its server: a path that never hangs and is never unmounted. */
  readonly server: string;
  /** On the same file system, beside the share. */
  readonly aside: string;
  readonly damages: readonly Damage[];
  mount(): Promise<void>;
  unmount(): Promise<void>;
}

/**
 * A ground that is not mounted yet.
 * @param dir an empty folder for the side of the server
 * @param mountPoint where the agents see the share
 */
export type GroundMaker = (dir: string, mountPoint: string) => Ground;

export const GROUND_NAMES = ["ext4", "tmpfs", "fuse"] as const;
export type GroundName = (typeof GROUND_NAMES)[number];

const TMPFS_BYTES = 6 * 1024 * 1024;

/** One of this machine, as a {@link GroundMaker} does. */
export function makeGround(name: GroundName, dir: string, mountPoint: string): Ground {
  const places = { dir, server: join(dir, "share"), aside: join(dir, "aside"), mountPoint };
  if (name === "fuse") return new Fuse(places);
  return name === "tmpfs" ? new Tmpfs(places) : new LocalDisk(places);
}

interface Places {
  readonly dir: string;
  readonly server: string;
  readonly aside: string;
  readonly mountPoint: string;
}

class OnThisMachine {
  readonly pace = USUAL_PACE;
  readonly server: string;
  readonly aside: string;
  protected readonly places: Places;

  constructor(places: Places) {
    this.places = places;
    this.server = places.server;
    this.aside = places.aside;
  }
}

/** A folder of the local disk, seen through a bind mount. */
class LocalDisk extends OnThisMachine implements Ground {
  readonly name = "ext4";
  readonly mayDeny = false;
  readonly isNetwork = false;
  readonly damages: readonly Damage[];

  constructor(places: Places) {
    super(places);
    this.damages = [{ kind: "unmount", inflict: async (random) => await this.#remount(random) }];
  }

  async mount(): Promise<void> {
    makeShare(this.places);
    await this.#bind();
  }

  async unmount(): Promise<void> {
    await run(["umount", "-l", this.places.mountPoint]);
  }

  async #bind(): Promise<void> {
    await run(["mount", "--bind", this.server, this.places.mountPoint]);
  }

  async #remount(random: SeededRandom): Promise<void> {
    await this.unmount();
    await pause(random, 300, 4000);
    await this.#bind();
  }
}

/** A file system in memory, so small that it can be filled. */
class Tmpfs extends OnThisMachine implements Ground {
  readonly name = "tmpfs";
  readonly mayDeny = true;
  readonly isNetwork = false;
  readonly damages: readonly Damage[];

  constructor(places: Places) {
    super(places);
    this.damages = [
      { kind: "full", inflict: async (random) => await this.#fill(random) },
      { kind: "read-only", inflict: async (random) => await this.#lock(random) },
    ];
  }

  async mount(): Promise<void> {
    const { dir, mountPoint } = this.places;
    await mountMemory(dir, TMPFS_BYTES);
    makeShare(this.places);
    await run(["mount", "--bind", this.server, mountPoint]);
  }

  async unmount(): Promise<void> {
    await run(["umount", "-l", this.places.mountPoint]);
    await run(["umount", "-l", this.places.dir]);
  }

  async #fill(random: SeededRandom): Promise<void> {
    const empty = fillDisk(this.places.dir);
    await pause(random, 500, 4000);
    empty();
  }

  async #lock(random: SeededRandom): Promise<void> {
    try {
      // It is refused while a file is open for writing.
      const isLocked = await until(async () => await this.#remount("ro"), "it is read-only", 5000).catch(() => false);
      if (isLocked) await pause(random, 500, 4000);
    } finally {
      await this.#remount("rw");
    }
  }

  async #remount(mode: "ro" | "rw"): Promise<boolean> {
    const { dir } = this.places;
    // With the device named, no earlier options are given again: some are refused in a user namespace.
    return await run(["mount", "-o", `remount,${mode}`, "tmpfs", dir]).then(
      () => true,
      (error: unknown) => {
        if (mode === "rw") throw error;
        return false;
      },
    );
  }
}

/** A folder of the local disk through a FUSE daemon, which can hang and die. */
class Fuse extends OnThisMachine implements Ground {
  readonly name = "fuse";
  readonly mayDeny = false;
  readonly isNetwork = true;
  readonly damages: readonly Damage[];
  #daemon: Bun.Subprocess | undefined;

  constructor(places: Places) {
    super(places);
    this.damages = [
      { kind: "fuse-stop", inflict: async (random) => await this.#hang(random) },
      { kind: "fuse-kill", inflict: async (random) => await this.#die(random, false) },
      { kind: "fuse-stop-kill", inflict: async (random) => await this.#die(random, true) },
    ];
  }

  async mount(): Promise<void> {
    makeShare(this.places);
    await this.#start();
  }

  async unmount(): Promise<void> {
    this.#daemon?.kill("SIGCONT");
    await run(["umount", "-l", this.places.mountPoint]);
    this.#daemon?.kill("SIGKILL");
    await this.#daemon?.exited;
  }

  async #start(): Promise<void> {
    const { mountPoint } = this.places;
    const bindfs = Bun.which("bindfs", { PATH: searchPath() });
    if (bindfs === null) throw new Error("Cannot mount FUSE: bindfs is missing. Install the package bindfs");
    this.#daemon = Bun.spawn([bindfs, "-f", this.server, mountPoint], { stdin: "ignore", stdout: "ignore" });
    const isMounted = (): boolean => readFileSync("/proc/self/mounts", "utf8").includes(` ${mountPoint} fuse`);
    await until(isMounted, "bindfs has mounted the share", 10_000);
  }

  async #hang(random: SeededRandom): Promise<void> {
    this.#daemon?.kill("SIGSTOP");
    await pause(random, 300, 5000);
    this.#daemon?.kill("SIGCONT");
  }

  async #die(random: SeededRandom, hangsBefore: boolean): Promise<void> {
    if (hangsBefore) {
      this.#daemon?.kill("SIGSTOP");
      await pause(random, 200, 1500);
    }
    this.#daemon?.kill("SIGKILL");
    await this.#daemon?.exited;
    await pause(random, 50, 1500);
    await run(["umount", "-l", this.places.mountPoint]);
    await pause(random, 1, 1000);
    await this.#start();
  }
}
