// The checks of `doctor` on a share: the mount, the folders, how files behave, free space, leftovers.
import { statfs } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { about, type Check } from "../../../base/check.ts";
import type { Clock } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import { gatedPrimitives } from "../calls/network.ts";
import type { Primitives } from "../calls/primitives.ts";
import { Gate } from "../calls/stall_gate.ts";
import { shareFailure } from "../failures.ts";
import { Layout } from "../layout.ts";
import { adviseOnMount } from "../mount/advice.ts";
import { examineRoot } from "../mount/root.ts";
import { type Mount, mountAt, mountOf, readMounts } from "../mount/table.ts";
import { examineFiles } from "./files.ts";
import { examineFolders } from "./folders.ts";
import type { Ground } from "./ground.ts";
import { examineLeftovers } from "./leftovers.ts";
import { examineStates } from "./states.ts";

export interface ExamineOptions {
  readonly clock: Clock;
  /** As in `ShareOptions`; only read. */
  readonly rememberIn?: string;
}

/** Less room than this is worth a warning: a response may take 4 MiB, and there may be many. */
const LITTLE_BYTES = 100_000_000;
const LITTLE_FILES = 1_000;

/** @param network ungated file calls that block no event loop: also used where the share is local */
export async function* examineShare(root: string, network: Primitives, options: ExamineOptions): AsyncGenerator<Check> {
  const gate = new Gate(options.clock);
  const ground = { layout: new Layout(root), fs: gatedPrimitives(network, gate), clock: options.clock };
  // From the mount table, without asking the share, which may hang.
  const named = mountAt(readMounts(), root);
  let mount: Mount | null;
  try {
    mount = await findMount(ground, named, options);
  } catch (error) {
    yield about("mount").failedBy(await mountFailure(error, ground, named));
    if (named !== null) yield* adviseOnMount(named);
    return;
  }
  yield checkMount(mount, root);
  if (mount !== null) yield* adviseOnMount(mount);
  const tops = yield* examineFolders(ground);
  const offsetMs = yield* examineFiles(ground, tops);
  yield* orFailure(ground, "space", async () => await examineSpace(root, gate));
  const nowMs = options.clock.now() + (offsetMs ?? 0);
  if (tops.length > 0) yield* orFailure(ground, "states", async () => await examineStates(ground, tops));
  if (tops.length > 0) yield* orFailure(ground, "leftovers", async () => await examineLeftovers(ground, tops, nowMs));
}

async function* orFailure(ground: Ground, name: string, run: () => Promise<Check>): AsyncGenerator<Check> {
  const { root } = ground.layout;
  yield await run().catch(async (error: unknown) => {
    return about(name).failedBy(await shareFailure(error, "look", root, ground));
  });
}

/**
 * The share's mount; null where the kernel does not list it.
 * @throws CourierError when the share is not there, or is on another file system than before
 */
async function findMount(
  { layout: { root, commands, status }, fs }: Ground,
  named: Mount | null,
  { rememberIn }: ExamineOptions,
): Promise<Mount | null> {
  const { facts, kind } = await examineRoot(fs, root, rememberIn);
  // With a link in the path, the mount is not the one that the path's text suggests.
  const mount = mountOf(readMounts(), facts.dev, named) ?? named;
  const names = (await fs.readdir(root)).map((each) => join(root, each));
  if (names.includes(commands.path) || names.includes(status.path)) return mount;
  const [what, hint] = kind.isNetwork
    ? ["a new share?", "Start gpu-agent: it creates the folders of a new share"]
    : ["not mounted?", `sudo mount ${root}; a new share on a local disk: start gpu-agent once with --init`];
  throw new CourierError(
    "unavailable",
    `${root}, on ${mount?.type ?? kind.name}, has no folders of gpu-courier: ${what}`,
    {
      hint,
    },
  );
}

function checkMount(mount: Mount | null, root: string): Check {
  const check = about("mount");
  if (mount === null) return check.ok(`${root} exists, on a file system that the kernel does not list`);
  const { type, point, source, options } = mount;
  if (options.includes("ro")) {
    return check.failed(`${type} at ${point} is mounted read-only`, `sudo mount -o remount,rw ${point}`);
  }
  const isRemote = source.includes(":") || source.startsWith("//");
  return check.ok(
    `${type} at ${point}, ${isRemote ? `from ${source}` : "a local disk: other machines see it only if this one exports it"}`,
  );
}

async function mountFailure(error: unknown, ground: Ground, named: Mount | null): Promise<CourierError> {
  const { root } = ground.layout;
  const failure = await shareFailure(error, "look", root, ground);
  if (failure.message.includes(root)) return failure;
  const where = named === null ? root : `${root}, ${named.type} from ${named.source}`;
  return new CourierError(failure.code, `${where}: ${failure.message}`, { hint: failure.hint, cause: failure });
}

async function examineSpace(root: string, gate: Gate): Promise<Check> {
  const check = about("space");
  const { bavail, bsize, files, ffree } = await gate.run(async () => await promisify(statfs)(root));
  const free = bavail * bsize;
  // Some file systems do not count files, and report 0 of 0.
  const freeFiles = files === 0 ? Number.POSITIVE_INFINITY : ffree;
  const message = `${formatBytes(free)} free${files === 0 ? "" : `, room for ${ffree} files`}`;
  const hint = "Remove files there or make it larger";
  if (free === 0 || freeFiles === 0) return check.failed(`The share is full: ${message}`, hint);
  return free < LITTLE_BYTES || freeFiles < LITTLE_FILES ? check.warning(message, hint) : check.ok(message);
}
