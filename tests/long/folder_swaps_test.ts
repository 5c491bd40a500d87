// A folder of the share that is replaced by a link to another place between any two calls of an operation. Whatever
// the moment, nothing in the other place is made, changed or removed.
import { afterEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import type { Primitives } from "#src/transport/share/calls/primitives.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import type { Delivery, Inbox, Transport } from "#src/transport.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { SeededRandom, seedOfRun } from "#tests/support/random.ts";
import { OpenShares } from "#tests/support/sites/share_folder.ts";
import { until } from "#tests/support/until.ts";
import { GPU } from "#tests/transport/conformance/addresses.ts";
import { Heard } from "#tests/transport/conformance/heard.ts";

const SWAPS = 400;
/** No operation makes more calls. */
const CALLS = 24;
const OWN = { replyTo: "ctl-1" };
const HOLDER = { agent: "gpu-1", instance: "one" };
const DURABLE = { durable: true };
const FOLDERS = [
  "gpu_commands",
  "gpu_status",
  "gpu_commands/gpu-1",
  "gpu_commands/.claims",
  "gpu_commands/.tmp",
  "gpu_status/ctl-1",
  "gpu_status/.tmp",
] as const;
/** An hour and more: the sweep removes what is so old. */
const OLD_MS = 2 * 3_600_000;

type Operation = (transport: Transport, own: Delivery, shared: Delivery) => Promise<unknown>;

const OPERATIONS: Readonly<Record<string, Operation>> = {
  send: async (transport) => await transport.send(GPU, "ping-1", "{}", DURABLE),
  withdraw: async (transport) => await transport.withdraw(GPU, "delete-1"),
  release: async (transport, own) => await transport.release(own),
  claim: async (transport, _own, shared) => await transport.claim(shared, HOLDER),
  respond: async (transport) => await transport.respond(OWN, "ping-1", "{}", DURABLE),
  releaseReply: async (transport) => await transport.releaseReply(OWN, "ping-2"),
  publishState: async (transport) => await transport.publishState("gpu-1", '{"n":2}'),
  openInbox: async (transport) => await transport.openInbox({ agent: "gpu-2" }),
  sweep: async (transport) => await transport.sweep("everything"),
};

const opened = new OpenShares();
afterEach(async () => await opened.close());

/** Replaces a folder by a link when a certain call is made. */
class Swapper {
  /** How many calls are still made before it; null for never. */
  before: number | null = null;
  folder = "";
  hasSwapped = false;
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  get primitives(): Primitives {
    const calls = Object.entries(localPrimitives).map(([name, call]) => {
      const swapping = (...args: readonly unknown[]): unknown => {
        this.#count();
        return Reflect.apply(call, localPrimitives, args);
      };
      return [name, swapping];
    });
    return { ...localPrimitives, ...Object.fromEntries(calls) };
  }

  restore(): void {
    this.before = null;
    if (!this.hasSwapped) return;
    const path = join(this.#root, this.folder);
    unlinkSync(path);
    renameSync(`${path}.real`, path);
  }

  #count(): void {
    if (this.before === null || this.before-- > 0) return;
    this.before = null;
    const path = join(this.#root, this.folder);
    if (!existsSync(path)) return;
    renameSync(path, `${path}.real`);
    symlinkSync(join(this.#root, "..", "elsewhere", this.folder), path);
    this.hasSwapped = true;
  }
}

/** A share with a file of each kind, and a copy of it elsewhere, which is not the share's. */
async function openSite() {
  const folder = opened.folder();
  const { root } = folder;
  const swapper = new Swapper(root);
  const clock = new ManualClock();
  const calls = { local: swapper.primitives, network: swapper.primitives };
  const transport = new ShareTransport(root, { create: "always", watch: "network", clock, log: silentLog }, calls);
  opened.keep(transport);
  await transport.connect();
  await transport.openInbox(GPU);
  for (const name of ["gpu_status/ctl-1", "gpu_commands/.claims"]) mkdirSync(join(root, name));
  writeFileSync(join(root, "gpu_status/ctl-1/old-1_response.json"), "{}");
  writeFileSync(join(root, "gpu_status/.tmp", crypto.randomUUID()), "{}");
  await folder.age(OLD_MS);
  const [own, shared] = [await delivered(transport, GPU), await delivered(transport, "shared")];
  await transport.respond(OWN, "ping-2", "{}", DURABLE);
  await transport.publishState("gpu-1", '{"n":1}');
  const elsewhere = join(root, "..", "elsewhere");
  // With times to the nanosecond: to a look by name, the files there are the same.
  Bun.spawnSync(["cp", "-a", root, elsewhere]);
  return { swapper, transport, own, shared, elsewhere };
}

async function delivered(transport: Transport, inbox: Inbox): Promise<Delivery> {
  await transport.send(inbox, "delete-1", "{}", DURABLE);
  const heard = await Heard.at(transport, inbox);
  await until(() => heard.deliveries.length === 1);
  await heard.close();
  const [delivery] = heard.deliveries;
  if (delivery === undefined) throw new Error("Nothing was delivered");
  return delivery;
}

/** Every name under a folder with its content and time. */
function contents(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted();
  return Object.fromEntries(
    names.map((name) => {
      const { mtimeMs, ino, mode } = statSync(join(folder, name));
      const isFolder = statSync(join(folder, name)).isDirectory();
      return [name, `${mtimeMs} ${ino} ${mode} ${isFolder ? "" : readFileSync(join(folder, name), "utf8")}`];
    }),
  );
}

test(`${SWAPS} folders swapped under network calls: nothing elsewhere is touched`, async () => {
  const seed = seedOfRun();
  const random = new SeededRandom(seed);
  let swaps = 0;
  for (let attempt = 0; swaps < SWAPS && attempt < 6 * SWAPS; attempt++) {
    const { swapper, transport, own, shared, elsewhere } = await openSite();
    const before = contents(elsewhere);
    const name = random.pick(Object.keys(OPERATIONS));
    swapper.folder = random.pick(FOLDERS);
    swapper.before = random.below(CALLS);
    const where = `seed ${seed}: ${name}, ${swapper.folder} swapped after ${swapper.before} calls`;
    // Whether it fails or not does not matter here.
    await OPERATIONS[name]?.(transport, own, shared).catch(() => undefined);
    const after = contents(elsewhere);
    swapper.restore();
    if (swapper.hasSwapped) swaps += 1;
    expect({ where, elsewhere: after }).toEqual({ where, elsewhere: before });
    await transport.close();
    rmSync(elsewhere, { recursive: true });
    await opened.close();
  }
  expect(swaps).toBe(SWAPS);
}, 180_000);
