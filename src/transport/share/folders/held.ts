// Folders that are held open while something in them is changed: each call then stays in the folder that was opened, whatever
// its name leads to meanwhile. Another machine may replace a folder by a link at any moment.
import { constants, existsSync } from "node:fs";
import { basename, join } from "node:path";
import { systemCode } from "../../../base/errors.ts";
import type { Primitives } from "../calls/primitives.ts";
import type { Folder } from "../layout.ts";

/** The path of a name in a held folder, for one call. */
export type At = (name: string) => string;

/** Opens no file: the kernel only remembers the folder, and asks no server (open(2)). Not among Node's constants. */
const O_PATH = 0o10000000;
const HELD = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Not `self`, which the kernel would have to look up at each call: 12 us of 58 for publishing a file (Bun 1.4.5). */
const DESCRIPTORS = `/proc/${process.pid}/fd`;
/** Without them, as on macOS, calls use names. */
const canHold = process.platform === "linux" && existsSync(DESCRIPTORS);

/**
 * Runs calls in folders of one top folder. None of them is held longer: a descriptor would keep the share from being
 * unmounted, and becomes stale on NFSv3.
 * @throws the system's error: `ENOENT` or `ESTALE` when one is gone, `ENOTDIR` when it is a link
 */
export async function inside<Value>(
  fs: Primitives,
  folders: readonly Folder[],
  run: (...at: At[]) => Promise<Value>,
): Promise<Value> {
  if (!canHold) return await run(...folders.map(byName));
  const held = new Map<string, number>();
  const hold = async (path: string, by = path): Promise<void> => void held.set(path, await fs.open(by, HELD));
  try {
    const [{ top } = { top: "" }] = folders;
    await hold(top);
    const below = folders.filter(({ path }) => path !== top);
    await all(below.map(async ({ path }) => await hold(path, heldPath(held.get(top), basename(path)))));
    return await run(
      ...folders.map(
        ({ path }): At =>
          (name) =>
            heldPath(held.get(path), name),
      ),
    );
  } catch (error) {
    throw withNames(error, held);
  } finally {
    for (const descriptor of held.values()) void letGo(fs, descriptor);
  }
}

/** Waits for every one, also when one fails: what the others open must be closed. @throws the first failure */
async function all(opening: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(opening)) if (outcome.status === "rejected") throw outcome.reason;
}

/** Where a folder is not held. */
export function byName({ path }: Folder): At {
  return (name) => join(path, name);
}

/** On a share that hangs it is closed later, and what was done stays done. */
async function letGo(fs: Primitives, descriptor: number): Promise<void> {
  try {
    await fs.close(descriptor);
  } catch {
    // The gate reports the stall to the next call.
  }
}

function heldPath(descriptor: number | undefined, name: string): string {
  return `${DESCRIPTORS}/${descriptor}/${name}`;
}

/** Errors name the folders that people know. */
function withNames(error: unknown, held: ReadonlyMap<string, number>): unknown {
  if (!(error instanceof Error) || systemCode(error) === undefined) return error;
  for (const [path, descriptor] of held) {
    const [prefix, named] = [heldPath(descriptor, ""), `${path}/`];
    error.message = error.message.replaceAll(prefix, named);
    for (const field of ["path", "dest"] as const) {
      if (field in error) Object.assign(error, { [field]: String(Reflect.get(error, field)).replace(prefix, named) });
    }
  }
  return error;
}
