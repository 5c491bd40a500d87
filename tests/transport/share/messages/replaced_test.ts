// A document that is away while it is replaced, as under SMB when somebody reads the old one: no reader concludes that it is gone.
import { afterEach, describe, expect, test } from "bun:test";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import type { StateRecord, Transport } from "#src/transport.ts";
import { OpenShares } from "#tests/support/sites/share_folder.ts";

const CIFS = 0xff534d42;
/** As long as a writer's attempts may take. */
const AWAY_MS = 100;

const opened = new OpenShares();
afterEach(async () => await opened.close());

interface Site {
  readonly transport: Transport;
  /** Takes a document away, and puts it back later. */
  readonly replace: (name: string) => void;
}

async function openSite(): Promise<Site> {
  const { root } = opened.folder();
  const options = { create: "always", watch: "auto", clock: systemClock, log: silentLog } as const;
  const calls = { local: localPrimitives, network: { ...localPrimitives, statfs: () => CIFS } };
  const transport = new ShareTransport(root, options, calls);
  opened.keep(transport);
  await transport.connect();
  await transport.publishState("gpu-1", '{"a":1}');
  await transport.publishState("gpu-2", '{"a":2}');
  await transport.publishRoster("roster");
  const status = join(root, "gpu_status");
  return {
    transport,
    replace: (name) => {
      renameSync(join(status, name), join(status, ".tmp", name));
      setTimeout(() => renameSync(join(status, ".tmp", name), join(status, name)), AWAY_MS);
    },
  };
}

describe("a document that is being replaced", () => {
  test("is found by its name", async () => {
    const { transport, replace } = await openSite();
    replace("gpu-1_status.json");
    expect((await transport.readState("gpu-1"))?.content).toEqual({ text: '{"a":1}' });
    expect(await transport.readState("gpu-3")).toBeNull();
  });

  test("stays among all", async () => {
    const { transport, replace } = await openSite();
    const names = async (): Promise<string[]> => (await transport.readStates()).map(({ agent }) => agent);
    expect(await names()).toEqual(["gpu-1", "gpu-2"]);
    replace("gpu-1_status.json");
    expect(await names()).toEqual(["gpu-1", "gpu-2"]);
  });

  test("stays among those whose changes are followed", async () => {
    const { transport, replace } = await openSite();
    const reader = transport.openStates();
    const changed: StateRecord[] = [];
    const read = async (): Promise<string[]> => [...(await reader.read((record) => changed.push(record)))];
    expect((await read()).toSorted()).toEqual(["gpu-1", "gpu-2"]);
    replace("gpu-1_status.json");
    expect((await read()).toSorted()).toEqual(["gpu-1", "gpu-2"]);
  });

  test("is the roster, too", async () => {
    const { transport, replace } = await openSite();
    expect(await transport.readRoster()).toEqual({ text: "roster" });
    replace(".roster.json");
    expect(await transport.readRoster()).toEqual({ text: "roster" });
  });
});
