// src/transport/share: a top folder that is away for a moment, on a network share that was just looked at. What it holds
// is not gone: every method that would conclude so says `unavailable`, and finds it when the folder is back.
import { afterEach, expect, test } from "bun:test";
import { existsSync, renameSync, symlinkSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import type { Delivery, Transport } from "#src/transport.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { OpenShares } from "#tests/support/sites/share_folder.ts";
import { GPU } from "#tests/transport/conformance/addresses.ts";
import { expectCode, Heard, HeardReplies } from "#tests/transport/conformance/heard.ts";

const HOLDER = { agent: "gpu-1", instance: "one" };
const OWN = { replyTo: "ctl-1" };
const NFS = 0x6969;
const DURABLE = { durable: true };

const opened = new OpenShares();
afterEach(async () => await opened.close());

interface Site {
  readonly transport: Transport;
  readonly clock: ManualClock;
  readonly path: (top: string) => string;
  /** A command in the agent's inbox, and one in the shared inbox that `HOLDER` has claimed. */
  readonly own: Delivery;
  readonly shared: Delivery;
  /** Renames a top folder away, as if on the server, or back. */
  readonly rename: (top: string, where: "away" | "back") => void;
}

/** Everything was just looked at. */
async function openSite(): Promise<Site> {
  const { root } = opened.folder();
  const clock = new ManualClock();
  const transport = await connected(root, clock);
  await transport.openInbox(GPU);
  await HeardReplies.at(await connected(root, new ManualClock()), OWN);
  const [own, shared] = [await delivered(transport, clock, GPU), await delivered(transport, clock, "shared")];
  await transport.claim(shared, HOLDER);
  await transport.respond("shared", "list-1", "{}", DURABLE);
  await transport.respond(OWN, "ping-1", "{}", DURABLE);
  await transport.publishState("gpu-1", "{}");
  // The facts of the folders below are over a second old now, those of the top folders are not.
  await clock.advance(1_100);
  await transport.publishState("gpu-1", "{}");
  await transport.withdraw("shared", "none");
  const [there, away] = [(top: string) => join(root, top), (top: string) => join(root, `${top}.away`)];
  return {
    transport,
    clock,
    path: there,
    own,
    shared,
    rename: (top, where) => (where === "away" ? renameSync(there(top), away(top)) : renameSync(away(top), there(top))),
  };
}

async function connected(root: string, clock: ManualClock): Promise<Transport> {
  const transport = new ShareTransport(
    root,
    { create: "always", watch: "network", clock, log: silentLog },
    { local: localPrimitives, network: localPrimitives },
  );
  opened.keep(transport);
  await transport.connect();
  return transport;
}

async function delivered(transport: Transport, clock: ManualClock, inbox: typeof GPU | "shared"): Promise<Delivery> {
  await transport.send(inbox, "delete-1", "{}", DURABLE);
  const heard = await Heard.at(transport, inbox);
  await passes(clock, 20, () => heard.deliveries.length === 1);
  await heard.close();
  const [delivery] = heard.deliveries;
  if (delivery === undefined) throw new Error("Nothing was delivered");
  return delivery;
}

type Call = (site: Site) => Promise<unknown>;

const CALLS: readonly (readonly [name: string, top: string, call: Call, afterwards: unknown])[] = [
  ["respond", "gpu_status", async ({ transport }) => await transport.respond(OWN, "ping-2", "{}", DURABLE), true],
  [
    "respondedAtMs",
    "gpu_status",
    async ({ transport }) => await transport.respondedAtMs(OWN, "ping-1"),
    expect.any(Number),
  ],
  [
    "readState",
    "gpu_status",
    async ({ transport }) => await transport.readState("gpu-1"),
    expect.objectContaining({ agent: "gpu-1" }),
  ],
  ["readStates", "gpu_status", async ({ transport }) => (await transport.readStates()).length, 1],
  ["isUnchanged", "gpu_commands", async ({ transport, own }) => await transport.isUnchanged(own), true],
  ["isUnchanged, shared", "gpu_commands", async ({ transport, shared }) => await transport.isUnchanged(shared), true],
  ["claim", "gpu_commands", async ({ transport, shared }) => await transport.claim(shared, HOLDER), true],
  ["claimedBy", "gpu_commands", async ({ transport }) => (await transport.claimedBy(HOLDER)).length, 1],
  ["withdraw", "gpu_commands", async ({ transport }) => await transport.withdraw(GPU, "delete-1"), true],
  ["send", "gpu_commands", async ({ transport }) => await transport.send(GPU, "ping-3", "{}", DURABLE), undefined],
];

test.each(CALLS)(
  "%s() says unavailable while %s is away, and finds everything when it is back",
  async (_, top, call, afterwards) => {
    const site = await openSite();
    site.rename(top, "away");
    await expectCode(call(site), "unavailable");
    site.rename(top, "back");
    expect(await call(site)).toEqual(afterwards);
  },
);

test("release() and releaseReply() do not count a file as removed while its top folder is away", async () => {
  const site = await openSite();
  const { transport, own } = site;
  site.rename("gpu_commands", "away");
  site.rename("gpu_status", "away");
  await expectCode(transport.release(own), "unavailable");
  await expectCode(transport.releaseReply(OWN, "ping-1"), "unavailable");
  site.rename("gpu_commands", "back");
  site.rename("gpu_status", "back");
  expect([await transport.isUnchanged(own), await transport.respondedAtMs(OWN, "ping-1")]).toEqual([
    true,
    expect.any(Number),
  ]);
  await transport.release(own);
  await transport.releaseReply(OWN, "ping-1");
  expect([await transport.isUnchanged(own), await transport.respondedAtMs(OWN, "ping-1")]).toEqual([false, null]);
});

test("respond() says unavailable while a link is in place of the top folder: its answer is not dropped", async () => {
  const site = await openSite();
  site.rename("gpu_status", "away");
  symlinkSync(tmpdir(), site.path("gpu_status"));
  await site.clock.advance(1_100);
  await expectCode(site.transport.respond(OWN, "ping-2", "{}", DURABLE), "unavailable");
  unlinkSync(site.path("gpu_status"));
  site.rename("gpu_status", "back");
  expect(await site.transport.respond(OWN, "ping-2", "{}", DURABLE)).toBe(true);
});

test("connect() makes no top folder again on a network share that was in use before: it is away", async () => {
  const { root } = opened.folder();
  const rememberIn = join(root, "..", "file-system");
  const calls = { local: localPrimitives, network: { ...localPrimitives, statfs: () => NFS } };
  const connect = async (): Promise<void> => {
    const clock = new ManualClock();
    const options = { create: "network", watch: "auto", clock, log: silentLog, rememberIn } as const;
    const transport = new ShareTransport(root, options, calls);
    opened.keep(transport);
    await transport.connect();
  };
  await connect();
  renameSync(join(root, "gpu_status"), join(root, "away"));
  await expectCode(connect(), "unavailable");
  expect(existsSync(join(root, "gpu_status"))).toBe(false);
  renameSync(join(root, "away"), join(root, "gpu_status"));
  await connect();
});
