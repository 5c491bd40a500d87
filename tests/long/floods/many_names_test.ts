// Folders with more names than are remembered: anybody who can write to the share can make them. The names are those of a faked
// listing, and each file has the same content.
import { afterEach, expect, test } from "bun:test";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import type { Primitives } from "#src/transport/share/calls/primitives.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import type { Listener } from "#src/transport.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { OpenShares } from "#tests/support/sites/share_folder.ts";
import { until } from "#tests/support/until.ts";
import { GPU } from "#tests/transport/conformance/addresses.ts";

const opened = new OpenShares();
afterEach(async () => await opened.close());

/** A handle whose inbox has these names. */
async function inboxOf(names: readonly string[], listener: Listener) {
  const { root } = opened.folder();
  const clock = new ManualClock();
  const site = { clock, names, warned: [] as string[] };
  const inbox = `${root}/gpu_commands/gpu-1`;
  const fake = { file: 1_000_000, at: 0 };
  const local: Primitives = {
    ...localPrimitives,
    readdir: (path) => (path === inbox ? [...site.names] : localPrimitives.readdir(path)),
    open: (path, flags, mode) =>
      path.startsWith(`${inbox}/`) ? ((fake.at = 0), fake.file) : localPrimitives.open(path, flags, mode),
    close: (file) => (file === fake.file ? undefined : localPrimitives.close(file)),
    fstat: (file) => (file === fake.file ? FACTS : localPrimitives.fstat(file)),
    lstat: (path) => (path.startsWith(`${inbox}/`) ? FACTS : localPrimitives.lstat(path)),
    read: (file, into, offset) => {
      if (file !== fake.file) return localPrimitives.read(file, into, offset);
      fake.at += 1;
      return fake.at === 1 ? into.write("{}", offset) : 0;
    },
  };
  const log = { ...silentLog, warn: (_: object, message: string) => void site.warned.push(message) };
  const transport = new ShareTransport(
    root,
    { create: "always", watch: "local", clock, log },
    { local, network: local },
  );
  opened.keep(transport);
  await transport.connect();
  await transport.openInbox(GPU);
  await transport.receive(GPU, listener);
  return site;
}

const FACTS = {
  kind: "file",
  size: 2,
  mtimeNs: 1_000_000_000n,
  ino: 1n,
  dev: 1n,
  nlink: 1,
  mode: 0o644,
  uid: 0,
  gid: 0,
} as const;

test("100,000 files of an inbox are remembered, and others are taken when those are gone", async () => {
  const delivered = new Set<string>();
  const waiting: number[] = [];
  const names = Array.from({ length: 100_500 }, (_, index) => `id-${index}.json`);
  const site = await inboxOf(names, {
    deliver: ({ id }) => void delivered.add(id),
    waiting: (count) => void waiting.push(count),
  });
  const pass = async (): Promise<boolean> => {
    await site.clock.advance(1_000);
    return waiting.at(-1) === 500;
  };
  while (!(await pass())) await new Promise((resolve) => setTimeout(resolve, 1));
  await site.clock.advance(5_000);
  expect([delivered.size, waiting.at(-1)]).toEqual([100_000, 500]);
  site.names = names.filter((name) => !delivered.has(name.replace(".json", "")) || name.endsWith("7.json"));
  await until(async () => {
    await site.clock.advance(1_000);
    return delivered.size === 100_500;
  });
  await site.clock.advance(1_000);
  expect(waiting.at(-1)).toBe(0);
}, 60_000);

test("20,000 names that are not commands are reported, and the log has the number of the others once", async () => {
  const refused = new Set<string>();
  const names = Array.from({ length: 20_500 }, (_, index) => `stray ${index}`);
  const site = await inboxOf(names, { deliver: () => undefined, refuse: (name) => void refused.add(name) });
  await until(() => refused.size >= 20_000);
  for (let second = 0; second < 3; second++) await site.clock.advance(1_000);
  expect([refused.size, site.warned]).toEqual([
    20_000,
    ["Too many names that are not commands: some are not reported"],
  ]);
  site.names = ["another stray"];
  await site.clock.advance(1_000);
  await until(() => refused.has("another stray"));
});
