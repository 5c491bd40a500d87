// src/server/models/desired/changes.ts: what is shown of a command that could not be sent.
import { expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { Attempts } from "#src/server/models/desired/attempts.ts";
import { Changes } from "#src/server/models/desired/changes.ts";
import { type Difference, differenceKey } from "#src/server/models/desired/differences.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

const PULL: Difference = { agent: "gpu-1", model: "phi4:latest", action: "pull", job: null, hold: null };

async function reasonAfter(failure: CourierError): Promise<string | null> {
  const clock = new ManualClock();
  const attempts = new Attempts({ clock, now: () => clock.now() });
  const refuse = async (): Promise<never> => await Promise.reject(failure);
  const courier = { pullModel: refuse, deleteModel: refuse };
  const recorder = { byItself: async (_: object, work: () => Promise<void>) => await work() };
  const changes = new Changes({ courier, attempts, recorder, clock, log: silentLog });
  await changes.send([PULL], new AbortController().signal, () => true);
  return attempts.reasonToWait(differenceKey(PULL));
}

test("a failure of the share is shown without its path, and the words of a box as they are", async () => {
  const path = "/mnt/shared/gpu_commands/gpu-1";
  const ofShare = new CourierError("forbidden", `Cannot write ${path}: EACCES`);
  expect(await reasonAfter(ofShare)).toStartWith("The share cannot be used at the moment; next attempt at ");
  const ofBox = new CourierError("exhausted", "4.0 GB free in /usr/share/ollama", { saidBy: "gpu-1" });
  expect(await reasonAfter(ofBox)).toStartWith("4.0 GB free in /usr/share/ollama; next attempt at ");
});
