// src/transport/share/watch: a local share that is away for a while, and the order of what came meanwhile.
import { afterEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { OpenShares } from "#tests/support/sites/share_folder.ts";
import { GPU } from "#tests/transport/conformance/addresses.ts";
import { Heard } from "#tests/transport/conformance/heard.ts";

const opened = new OpenShares();
afterEach(async () => await opened.close());

/** A watch of an inbox whose calls below the share fail with this error while it is away. */
async function openSite(code: string) {
  const { root } = opened.folder();
  const clock = new ManualClock();
  const away = { is: false };
  const whenThere = (path: string): void => {
    if (away.is && path.includes("gpu_")) throw Object.assign(new Error("planted"), { code });
  };
  const calls = {
    ...localPrimitives,
    lstat: (path: string) => {
      whenThere(path);
      return localPrimitives.lstat(path);
    },
    open: (path: string, flags: number, mode?: number) => {
      whenThere(path);
      return localPrimitives.open(path, flags, mode);
    },
  };
  const options = { create: "always", watch: "local", clock, log: silentLog } as const;
  const transport = new ShareTransport(root, options, { local: calls, network: calls });
  opened.keep(transport);
  await transport.connect();
  await transport.openInbox(GPU);
  const heard = await Heard.at(transport, GPU);
  await passes(clock, 200, () => clock.monotonic() >= 1_000);
  const put = async (id: string): Promise<void> => {
    writeFileSync(join(root, "gpu_commands", "gpu-1", `${id}.json`), "{}");
    // Time for its event.
    await Bun.sleep(50);
  };
  return { clock, away, heard, put };
}

test("after an interruption it lists before it looks at names from events: the order is that of publication", async () => {
  const { clock, away, heard, put } = await openSite("EHOSTDOWN");
  away.is = true;
  await passes(clock, 200, () => heard.interruptions.length === 1);
  await put("delete-1");
  away.is = false;
  await put("pull-1");
  await passes(clock, 200, () => heard.ids.length === 2);
  expect(heard.ids).toEqual(["delete-1", "pull-1"]);
});

test("it takes no file for gone that an event names while the share is away for a moment", async () => {
  const { clock, away, heard, put } = await openSite("ENOENT");
  away.is = true;
  await put("pull-1");
  away.is = false;
  await put("delete-1");
  await passes(clock, 200, () => heard.ids.length === 2);
  expect(heard.ids).toEqual(["pull-1", "delete-1"]);
});
