// src/transport/share/watch/replies.ts: how long the folder of replies is looked at often.
import { afterEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { OpenShares } from "#tests/support/sites/share_folder.ts";
import { FAST, GPU } from "#tests/transport/conformance/addresses.ts";
import { HeardReplies } from "#tests/transport/conformance/heard.ts";

const OWN = { replyTo: "ctl-1" };

const opened = new OpenShares();
afterEach(async () => await opened.close());

/** Counts the listings of each folder and the openings of each file, by the end of their paths. */
async function site() {
  const { root } = opened.folder();
  const clock = new ManualClock();
  const calls = new Map<string, number>();
  const count = (path: string): void => {
    const name = path.split("/").at(-1) ?? "";
    calls.set(name, (calls.get(name) ?? 0) + 1);
  };
  const counting = {
    ...localPrimitives,
    readdir: (path: string) => {
      count(path);
      return localPrimitives.readdir(path);
    },
    open: (path: string, flags: number, mode?: number) => {
      count(path);
      return localPrimitives.open(path, flags, mode);
    },
  };
  const options = { create: "always", watch: "network", clock, log: silentLog } as const;
  const transport = new ShareTransport(root, options, { local: counting, network: counting });
  opened.keep(transport);
  await transport.connect();
  await transport.openInbox(GPU);
  /** How often this was called in a second that begins when all is quiet. */
  const inOneSecond = async (name: string): Promise<number> => {
    const fromMs = clock.monotonic() + 20_000;
    await passes(clock, 250, () => clock.monotonic() >= fromMs);
    const before = calls.get(name) ?? 0;
    await passes(clock, 10, () => clock.monotonic() >= fromMs + 1_000);
    return (calls.get(name) ?? 0) - before;
  };
  return { root, clock, transport, inOneSecond };
}

test.each([
  ["a reply that was accepted, rarely", true, 1],
  ["one that was not, as often as before", false, 20],
])("after %s", async (_, isAccepted, about) => {
  const { clock, transport, inOneSecond } = await site();
  const heard = await HeardReplies.at(
    transport,
    OWN,
    () => true,
    () => isAccepted,
  );
  await transport.send(GPU, "ping-1", "{}", FAST);
  await transport.respond(OWN, "ping-1", "{}", FAST);
  await passes(clock, 10, () => heard.replies.length === 1);
  expect(await inOneSecond("ctl-1")).toBeWithin(about / 2, about * 2 + 1);
});

test("a reply that is not whole is looked at no more once nobody wants it", async () => {
  const { root, clock, transport, inOneSecond } = await site();
  let isWanted = true;
  await HeardReplies.at(transport, "shared", () => isWanted);
  writeFileSync(join(root, "gpu_status", "list-1_response.json"), '{"success": tr');
  await passes(clock, 10, () => clock.monotonic() > 100);
  isWanted = false;
  expect(await inOneSecond("list-1_response.json")).toBe(0);
});
