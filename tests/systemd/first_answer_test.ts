// How long a box takes from nothing to its first answer. No other box runs beside it: see main.ts.
import { expect, test } from "bun:test";
import { report } from "#tests/nfs/guest/figures.ts";
import { manualTest } from "#tests/systemd/site/agent.ts";
import { onBox } from "#tests/systemd/site/box.ts";
import { AGENT_UNIT, installed } from "#tests/systemd/site/installation.ts";
import { timed } from "#tests/systemd/site/timed.ts";

/** From nothing to the first answered command: five times the target on an idle machine, which is 10 s. */
const FIRST_ANSWER_MS = 50_000;

test(
  "a box answers the original notes' commands soon after nothing was there",
  onBox(async (box) => {
    const { result, durationMs } = await timed(async () => {
      const printed = await installed(box, "old", "--share /mnt/shared");
      expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
      return printed;
    });
    report(
      `from nothing to the first answered command: ${(durationMs / 1000).toFixed(2)} s; install.sh said\n${result}`,
    );
    expect(durationMs).toBeLessThan(FIRST_ANSWER_MS);
    const status = await box.run(`sudo systemctl status ${AGENT_UNIT}`);
    expect(status).toContain("enabled");
    expect(status).toMatch(/Status: "gpu-1 on fuse at \/mnt\/shared, Ollama 0\.32\.15, no jobs running"/);
    expect(await box.run(`sudo journalctl -u ${AGENT_UNIT}`)).toContain("Ready agent=gpu-1");
    const { durationMs: restartMs } = await timed(async () => await box.run(`sudo systemctl restart ${AGENT_UNIT}`));
    report(`systemctl restart: ${Math.round(restartMs)} ms`);
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
    await box.reboot("orderly");
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
  }),
  90_000,
);
