// What `gpu-agent doctor` reports of the mirror that its settings name.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { examineOwnMirror } from "#src/agent/pulls/mirror/examine.ts";
import type { MirrorSettings } from "#src/agent/pulls/mirror/open_mirror.ts";
import { systemClock } from "#src/base/clock.ts";
import { MirrorShare } from "#tests/support/sites/mirror_share.ts";

const NATS = "nats://nats.example:4222";

let site: MirrorShare;
beforeEach(() => {
  site = new MirrorShare();
});
afterEach(() => site[Symbol.dispose]());

interface Given extends Partial<MirrorSettings> {
  readonly source?: boolean;
  readonly address?: string;
}

async function results({ source = false, address = site.share, ...given }: Given): Promise<string[]> {
  const mirror: MirrorSettings = {
    mode: "auto",
    folder: undefined,
    url: undefined,
    tokenFile: undefined,
    ca: undefined,
    ...given,
  };
  const signing = { trustedKeys: undefined, requireSignatures: undefined };
  const checks = examineOwnMirror({ mirror, mirrorSource: source, address, ...signing }, null, systemClock);
  return (await Array.fromAsync(checks)).map(({ check, result }) => `${check} ${result}`);
}

test("a share without a mirror has no checks, unless this box fills it", async () => {
  expect(await results({})).toEqual([]);
  expect((await results({ source: true })).slice(0, 2)).toEqual(["mirror ok", "mirror_writable ok"]);
});

test("a box that fills a mirror which it does not use checks it, too", async () => {
  mkdirSync(site.mirror.path);
  for (const given of [{ mode: "off" }, { mode: "off", folder: site.share, address: NATS }] as const) {
    expect(await results(given)).toEqual([]);
    expect((await results({ ...given, source: true })).slice(0, 2)).toEqual(["mirror ok", "mirror_writable ok"]);
  }
  const tokenFile = `${site.root}/token`;
  writeFileSync(tokenFile, "gpuc_secret\n", { mode: 0o600 });
  const away = { url: "http://127.0.0.1:1/mirror", tokenFile };
  expect(await results(away)).toEqual(["mirror failed"]);
  expect((await results({ ...away, source: true })).slice(0, 3)).toEqual([
    "mirror failed",
    "mirror ok",
    "mirror_writable ok",
  ]);
});

test("a mirror that a box is to fill without a folder fails", async () => {
  expect(await results({ address: NATS })).toEqual([]);
  expect(await results({ address: NATS, source: true })).toEqual(["mirror failed"]);
});
