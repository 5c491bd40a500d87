// The share's state documents under watch, in a flood of names or bytes: it leaves out what is new, never a known agent.
import { afterEach, expect, test } from "bun:test";
import { linkSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "#src/base/log.ts";
import type { Transport } from "#src/transport.ts";
import { OpenShares, type ShareFolder } from "#tests/support/sites/share_folder.ts";
import { until } from "#tests/support/until.ts";
import { HeardStates } from "#tests/transport/conformance/heard.ts";

const shares = new OpenShares();
afterEach(async () => await shares.close());

const logged: string[] = [];
const log = {
  ...silentLog,
  warn: (_: object, message: string) => void logged.push(message),
  info: (_: object, message: string) => void logged.push(message),
};

async function openSite() {
  logged.length = 0;
  const folder: ShareFolder = shares.folder({ watch: "local", log });
  const transport: Transport = folder.handle();
  shares.keep(transport);
  await transport.connect();
  return { folder, transport, status: join(folder.root, "gpu_status") };
}

/** Hard links to one file cost the writer nothing. */
function flood(status: string, count: number, bytes: number): void {
  const first = join(status, "x-0_status.json");
  writeFileSync(first, "x".repeat(bytes));
  for (let number = 1; number < count; number++) linkSync(first, join(status, `x-${number}_status.json`));
}

function endFlood(status: string): void {
  for (const name of readdirSync(status)) if (name.startsWith("x-")) rmSync(join(status, name));
}

test.each([
  ["names", 20_500, 10],
  ["bytes", 1_100, 256 * 1024],
])(
  "a flood of %s leaves out what is new, never a known agent, and is logged once",
  async (_, count, bytes) => {
    const { transport, status } = await openSite();
    await transport.publishState("z-known", '{"n":1}');
    const heard = await HeardStates.at(transport);
    await until(() => heard.present.size === 1);
    flood(status, count, bytes);
    await until(() => heard.present.size > 1_000);
    await transport.publishState("z-known", '{"n":2}');
    await heard.afterLooks(2);
    expect(heard.contentOf("z-known")).toBe('{"n":2}');
    expect(heard.present.size).toBeLessThan(count + 1);
    const checks = await Array.fromAsync(transport.examine());
    expect(checks.find(({ check }) => check === "states")).toMatchObject({ result: "warning" });
    expect(logged).toEqual(["Too many state documents: some are not read"]);
    endFlood(status);
    await until(() => heard.present.size === 1);
    expect(logged).toEqual(["Too many state documents: some are not read", "All state documents are read again"]);
  },
  60_000,
);

test("a file that is too large to be read takes no other's place, and what is removed beside a flood is gone", async () => {
  const { folder, transport, status } = await openSite();
  for (let number = 0; number < 20; number++) await transport.publishState(`gpu-${number}`, "{}");
  for (const name of ["a", "m", "z"]) {
    writeFileSync(join(status, `${name}_status.json`), "");
    truncateSync(join(status, `${name}_status.json`), 300 * 1024 * 1024);
  }
  expect((await transport.readStates()).length).toBe(23);
  const heard = await HeardStates.at(transport);
  await until(() => heard.present.size === 23);
  flood(status, 20_500, 10);
  await until(() => logged.length > 0);
  await folder.removeState("gpu-7");
  await until(() => !heard.present.has("gpu-7"));
  expect(heard.present.has("gpu-8")).toBe(true);
}, 60_000);
