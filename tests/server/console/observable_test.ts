// src/console/store/observable.ts: a change after a pause is seen at once, and many are gathered.
import { expect, test } from "bun:test";
import { Observable } from "#src/console/store/observable.ts";
import { until } from "#tests/support/until.ts";

const GATHERED_MS = 200;

class Changing extends Observable {
  change(): void {
    this.notify();
  }
}

test("notify() calls at once after a pause, and once for all changes within the time after it", async () => {
  const [busy, idle] = [new Changing(GATHERED_MS), new Changing(GATHERED_MS)];
  const calls: string[] = [];
  busy.listen(() => void calls.push("busy"));
  idle.listen(() => void calls.push("idle"));
  busy.change();
  await until(() => calls.length === 1);
  for (let count = 0; count < 10; count++) busy.change();
  idle.change();
  await until(() => calls.length === 3);
  expect(calls).toEqual(["busy", "idle", "busy"]);
});
