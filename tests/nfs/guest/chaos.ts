// Plays chaos runs on NFS 4.2, all of them on one client; only its server is elsewhere. argv: seeds. Prints as long/chaos/main.ts.
import { join } from "node:path";
import { makeShare, pause } from "#tests/long/chaos/folders.ts";
import type { Damage, Ground } from "#tests/long/chaos/grounds.ts";
import { play } from "#tests/long/chaos/play.ts";
import { run } from "#tests/support/debian.ts";
import type { SeededRandom } from "#tests/support/random.ts";
import { NfsExport, withoutNfsd } from "./file_systems/nfs.ts";
import type { Client } from "./machines.ts";
import { cutNetwork, mendNetwork } from "./network.ts";

const CLIENT: Client = "c1";

/** A folder of the server's disk. Its server can stop, and the network to it can be cut. */
class Nfs implements Ground {
  readonly name = "nfs";
  readonly isNetwork = true;
  readonly mayDeny = false;
  /** One emulated processor has everything to do, and a server that starts may make its clients wait. */
  readonly pace = {
    faultsMs: 40_000,
    quietWithinMs: 160_000,
    lanesOfSender: 3,
    legacyLanes: 1,
    pauseMs: 2400,
    slackMs: 3000,
  };
  readonly agent = ["/disk/bin/gpu-agent"];
  readonly server: string;
  readonly aside: string;
  readonly damages: readonly Damage[];
  readonly #mountPoint: string;
  readonly #export: NfsExport;

  constructor(dir: string, mountPoint: string) {
    this.server = join(dir, "share");
    this.aside = join(dir, "aside");
    this.#mountPoint = mountPoint;
    this.#export = new NfsExport(this.server, "4.2");
    this.damages = [
      { kind: "nfs-stop", inflict: async (random) => await withoutNfsd(async () => await pause(random, 2000, 5000)) },
      { kind: "nfs-cut", inflict: async (random) => await cut(random) },
    ];
  }

  async mount(): Promise<void> {
    makeShare({ server: this.server, aside: this.aside, mountPoint: this.#mountPoint });
    await this.#export.open("no_root_squash");
    await this.#export.mount(CLIENT, this.#mountPoint, "");
  }

  async unmount(): Promise<void> {
    await run(["umount", "-l", this.#mountPoint]);
    await this.#export.close();
  }
}

async function cut(random: SeededRandom): Promise<void> {
  await cutNetwork([CLIENT]);
  await pause(random, 1000, 4000);
  await mendNetwork([CLIENT]);
}

for (const seed of process.argv.slice(2)) {
  const verdict = await play((dir, mountPoint) => new Nfs(dir, mountPoint), Number(seed));
  process.stdout.write(`${JSON.stringify(verdict)}\n`);
}
process.exit(0);
