// Faults of the share on a box: it is mounted long after boot, it hangs.
import { expect, test } from "bun:test";
import { report } from "#tests/nfs/guest/figures.ts";
import { manualTest, shortenWatchdog, WATCHDOG_S } from "#tests/systemd/site/agent.ts";
import { type Box, onBox } from "#tests/systemd/site/box.ts";
import { AGENT_UNIT, installed } from "#tests/systemd/site/installation.ts";
import { timed } from "#tests/systemd/site/timed.ts";

/** What `systemctl restart` may take. */
const RESTART_MS = 15_000;

/** Settles that the share is not mounted at boot, and boots. */
async function bootWithoutShare(box: Box): Promise<void> {
  await box.run("sed -i 's/_netdev/_netdev,noauto/' /etc/fstab");
  await box.reboot("orderly");
}

/**
 * Stops the daemon behind the share while it holds no call of anybody. The kernel lets no signal end a program whose call the
 * daemon has read and not answered, not even SIGKILL: its restart would take as long as the share hangs. `waiting` counts
 * such calls, and those that the daemon has not read yet, which end with their program.
 */
const HANG = `
fuse=$(mktemp -d) && mount -t fusectl fusectl "$fuse" || exit
connection=$(awk '$5 == "/mnt/shared" { sub(".*:", "", $3); print $3 }' /proc/self/mountinfo)
pid=$(pidof bindfs)
for try in $(seq 200); do
  kill -STOP "$pid"
  while grep -q "^State:[[:space:]]*[^T[:space:]]" /proc/"$pid"/task/*/status; do :; done
  [ "$(cat "$fuse/$connection/waiting")" != 0 ] || exit 0
  kill -CONT "$pid"
  sleep 0.05
done
echo "Always in the middle of a call" >&2
exit 1
`;

async function restartMs(box: Box): Promise<number> {
  const { durationMs } = await timed(async () => await box.run(`systemctl restart ${AGENT_UNIT}`));
  return durationMs;
}

test(
  "a share that is mounted 20 s after boot is served then; until then restart returns and nothing is written",
  onBox(async (box) => {
    await installed(box, "old");
    await bootWithoutShare(box);
    const { StatusText, ActiveState } = await box.properties(AGENT_UNIT, "ActiveState", "StatusText");
    expect([ActiveState, StatusText]).toEqual(["active", expect.stringContaining("not mounted?")]);
    const tookMs = await restartMs(box);
    report(`restart without a share: ${Math.round(tookMs)} ms`);
    expect(tookMs).toBeLessThan(RESTART_MS);
    await box.run("sleep 20");
    expect(await box.run("ls -A /mnt/shared")).toBe("");
    await box.run("mount /mnt/shared");
    const { result, durationMs } = await timed(async () => await manualTest(box));
    report(`answered ${Math.round(durationMs)} ms after the share was mounted`);
    expect(result).toEqual(["all-minilm:latest"]);
    expect(await box.properties(AGENT_UNIT, "StatusText")).toEqual({
      StatusText: expect.stringContaining("on fuse at"),
    });
  }),
  120_000,
);

test(
  "while the share hangs the watchdog lets the agent wait, and restart returns",
  onBox(async (box) => {
    await installed(box, "old");
    await shortenWatchdog(box);
    const before = await box.properties(AGENT_UNIT, "MainPID", "NRestarts");
    await box.run(HANG);
    const line = await box.until(`systemctl show --property=StatusText --value ${AGENT_UNIT} | grep waiting`);
    report(`status line: ${line}`);
    const hungAtMs = performance.now();
    await box.run(`sleep ${2.5 * WATCHDOG_S}`);
    expect(await box.properties(AGENT_UNIT, "MainPID", "NRestarts")).toEqual(before);
    const tookMs = await restartMs(box);
    report(`after ${Math.round((performance.now() - hungAtMs) / 1000)} s of it restart took ${Math.round(tookMs)} ms`);
    expect(tookMs).toBeLessThan(2 * RESTART_MS);
    expect((await box.properties(AGENT_UNIT, "ActiveState")).ActiveState).toBe("active");
    await box.run("kill -CONT $(pidof bindfs)");
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
    expect((await box.properties(AGENT_UNIT, "NRestarts")).NRestarts).toBe("0");
  }),
  150_000,
);
