// src/transport/share: a file that this user may not read at the moment. That may pass: it counts as neither changed nor
// withdrawn, and is refused only when it lasts.
import { afterEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { OpenShares } from "#tests/support/sites/share_folder.ts";
import { FAST, GPU } from "#tests/transport/conformance/addresses.ts";
import { expectCode, Heard } from "#tests/transport/conformance/heard.ts";

const opened = new OpenShares();
afterEach(async () => await opened.close());

function systemError(code: string): () => Error {
  return () => Object.assign(new Error("planted"), { code });
}

describe.each(["local", "network"] as const)("a %s watch", (watch) => {
  async function site(plant = systemError("EACCES")) {
    const { root } = opened.folder();
    const clock = new ManualClock();
    const denied = { is: false };
    const calls = {
      ...localPrimitives,
      open: (path: string, flags: number, mode?: number) => {
        if (denied.is && path.endsWith("delete-1.json")) throw plant();
        return localPrimitives.open(path, flags, mode);
      },
      // What chmod changes; its mtime stays.
      lstat: async (path: string) => {
        const facts = await localPrimitives.lstat(path);
        return denied.is && facts.kind === "file" ? { ...facts, mode: 0 } : facts;
      },
    };
    const options = { create: "always", watch, clock, log: silentLog } as const;
    const transport = new ShareTransport(root, options, { local: calls, network: calls });
    opened.keep(transport);
    await transport.connect();
    await transport.openInbox(GPU);
    const heard = await Heard.at(transport, GPU);
    const inbox = join(root, "gpu_commands", "gpu-1");
    return { transport, clock, denied, heard, inbox };
  }

  test("delivers a command that may be read after a moment, and nothing before", async () => {
    const { clock, denied, heard, inbox } = await site();
    denied.is = true;
    writeFileSync(join(inbox, "delete-1.json"), "{}");
    await passes(clock, 100, () => clock.monotonic() >= 2_000);
    expect(heard.deliveries).toEqual([]);
    denied.is = false;
    await passes(clock, 100, () => heard.deliveries.length === 1);
    expect(heard.deliveries[0]?.content).toEqual({ text: "{}" });
  });

  test("refuses a command that may not be read for 5 s, and delivers it when it may", async () => {
    const { clock, denied, heard, inbox } = await site();
    await clock.advance(20_000);
    const beganMs = clock.monotonic();
    denied.is = true;
    writeFileSync(join(inbox, "delete-1.json"), "{}");
    await passes(clock, 100, () => heard.deliveries.length === 1);
    expect(heard.deliveries[0]?.content).toEqual({
      refused: expect.stringMatching(/^is not readable by this user/),
      mayPass: true,
    });
    expect(clock.monotonic() - beganMs).toBeWithin(5_000, 7_500);
    denied.is = false;
    await passes(clock, 100, () => heard.deliveries.length === 2);
    expect(heard.deliveries[1]?.content).toEqual({ text: "{}" });
  });

  test.each(["EIO", "EAGAIN", "EBADMSG"])("delivers the others while one file cannot be read (%s)", async (code) => {
    const { clock, denied, heard, inbox } = await site(systemError(code));
    denied.is = true;
    for (const id of ["delete-1", "ping-1", "ping-2"]) writeFileSync(join(inbox, `${id}.json`), "{}");
    await passes(clock, 100, () => heard.deliveries.length === 2);
    expect([heard.ids, heard.interruptions]).toEqual([["ping-1", "ping-2"], []]);
    denied.is = false;
    await passes(clock, 100, () => heard.deliveries.length === 3);
  });

  test("is interrupted when the share stalls as a file is read", async () => {
    const { clock, denied, heard, inbox } = await site(() => new CourierError("unavailable", "share stalled for 2 s"));
    denied.is = true;
    writeFileSync(join(inbox, "delete-1.json"), "{}");
    await passes(clock, 100, () => heard.interruptions.length === 1);
    denied.is = false;
    await passes(clock, 100, () => heard.restored === 1);
    expect(heard.ids).toEqual(["delete-1"]);
  });

  test("delivers nothing again when a delivered command may not be read for a moment", async () => {
    const { transport, clock, denied, heard } = await site();
    await transport.send(GPU, "delete-1", "{}", FAST);
    await passes(clock, 100, () => heard.deliveries.length === 1);
    const [delivery] = heard.deliveries;
    if (delivery === undefined) throw new Error("Nothing was delivered");
    await clock.advance(20_000);
    denied.is = true;
    await expectCode(transport.isUnchanged(delivery), "forbidden");
    await expectCode(transport.release(delivery), "forbidden");
    const deniedUntilMs = clock.monotonic() + 10_000;
    await passes(clock, 100, () => clock.monotonic() >= deniedUntilMs);
    denied.is = false;
    expect(await transport.isUnchanged(delivery)).toBe(true);
    const untilMs = clock.monotonic() + 3_000;
    await passes(clock, 100, () => clock.monotonic() >= untilMs);
    expect(heard.deliveries.length).toBe(1);
  });
});
