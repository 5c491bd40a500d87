// The conformance suite on the share driver for a network file system: a local folder forced into that mode, with file
// calls that record every requested name that no listing had shown.
import { expect, test } from "bun:test";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { poolPrimitives } from "#src/transport/share/calls/network.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import type { Transport } from "#src/transport.ts";
import { ListedNames } from "#tests/support/listed_names.ts";
import { ShareFolder } from "#tests/support/sites/share_folder.ts";
import { describeTransport } from "#tests/transport/conformance/suite.ts";

/** Each handle is a machine of its own. */
class NetworkShareFolder extends ShareFolder {
  readonly machines: ListedNames[] = [];

  override handle(): Transport {
    const machine = new ListedNames(this.root, poolPrimitives);
    this.machines.push(machine);
    const calls = { local: localPrimitives, network: machine.primitives };
    const options = { create: "always", watch: "network", clock: systemClock, log: silentLog } as const;
    return new ShareTransport(this.root, options, calls);
  }

  /** The last that a scenario does with it. */
  override async remove(): Promise<void> {
    await super.remove();
    expect(this.machines.flatMap(({ offences }) => offences)).toEqual([]);
  }
}

describeTransport("share, network", { openStore: async () => new NetworkShareFolder(), cannot: {} });

test("the file calls note a name that no listing has shown, and none that one has", async () => {
  const folder = new ShareFolder();
  try {
    const { primitives, offences } = new ListedNames(folder.root, poolPrimitives);
    await primitives.mkdir(`${folder.root}/made`, 0o700);
    await primitives.lstat(`${folder.root}/made`);
    await Promise.allSettled([primitives.lstat(`${folder.root}/never`), primitives.unlink(`${folder.root}/never`)]);
    expect(offences).toEqual(["lstat never", "unlink never"]);
  } finally {
    await folder.remove();
  }
});
