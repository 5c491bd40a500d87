// The conformance suite of the transports on a mounted share: each sentence of the contract, on the file system that it is for.
import { describe, expect, test } from "bun:test";
import { report } from "#tests/nfs/guest/figures.ts";
import { finish } from "#tests/nfs/guest/machines.ts";
import { FULL, type Protocol, titleOf } from "#tests/nfs/guest/scope.ts";
import { NetworkSite } from "#tests/nfs/guest/site.ts";

/** Not 4.2: there a synchronous call of the harness may take over 2 s, and the driver counts that as a share that stalls. */
const TESTED: readonly Protocol[] = FULL ? ["3", "smb"] : ["smb"];
const SCENARIOS = 40;

describe.each(TESTED.map((protocol) => ({ title: titleOf(protocol), protocol })))("$title", ({ title, protocol }) => {
  test("the share driver does what the contract says", async () => {
    await using site = await NetworkSite.open("conformance", protocol, ["c1"]);
    const command = `cd /disk/suite && TMPDIR=${site.share} NO_COLOR=1 bun test --timeout=60000 ./tests/nfs/guest/conformance.ts`;
    const { status, stderr } = await finish("c1", ["sh", "-c", command]);
    const lines = stderr.split("\n");
    const passed = lines.filter((line) => line.startsWith("(pass)")).length;
    report(`${title}, conformance: ${passed} scenarios passed`);
    if (status !== 0) report(stderr);
    expect(lines.filter((line) => line.startsWith("(fail)"))).toEqual([]);
    expect(passed).toBeGreaterThan(SCENARIOS);
    expect(status).toBe(0);
  }, 300_000);
});
