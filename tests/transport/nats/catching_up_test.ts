// When a reading is complete though entries are replaced, or vanish, while it goes on.
import { expect, test } from "bun:test";
import { CatchingUp } from "#src/transport/nats/calls/catching_up.ts";

/** `lasts` are the last sequences at one look after another. */
function begin(count: number, lasts: readonly number[]) {
  const catchingUp = new CatchingUp();
  const looks = lasts.values();
  let asked = 0;
  const state = { isDone: false, asked: () => asked };
  const done = (async () => {
    await catchingUp.untilDone(count, async () => {
      asked += 1;
      return looks.next().value ?? lasts.at(-1) ?? 0;
    });
    state.isDone = true;
  })();
  return { catchingUp, state, done };
}

test("nothing is there: it is complete at once", async () => {
  await begin(0, [0]).done;
});

test("the only entry is being replaced, so that the server counts none: it waits for the new one", async () => {
  const { catchingUp, state, done } = begin(0, [6]);
  await Bun.sleep(1);
  expect(state.isDone).toBe(false);
  catchingUp.delivered("gpu-1", 6);
  await done;
});

test("an entry that comes twice does not count for one that is still to come", async () => {
  const { catchingUp, state, done } = begin(3, [3, 5]);
  catchingUp.delivered("gpu-1", 1);
  // The second was replaced before it came, and the first behind it: 4 is gpu-1, 5 is gpu-2.
  catchingUp.delivered("gpu-3", 3);
  catchingUp.delivered("gpu-1", 4);
  await Bun.sleep(1);
  expect([state.isDone, state.asked()]).toEqual([false, 2]);
  catchingUp.delivered("gpu-2", 5);
  await done;
});

test("the last entry vanishes before it comes: it asks again", async () => {
  const { catchingUp, state, done } = begin(1, [2, 1]);
  catchingUp.delivered("gpu-1", 1);
  await done;
  expect(state.asked()).toBe(2);
});

test("entries that vanish are not waited for", async () => {
  const { catchingUp, state, done } = begin(9, [1]);
  catchingUp.delivered("gpu-1", 1);
  await done;
  expect(state.asked()).toBe(5);
});

test("stop() ends it, and nothing more is asked", async () => {
  const { catchingUp, state, done } = begin(1, [1]);
  await Bun.sleep(1);
  catchingUp.stop();
  expect(await done.catch(String)).toContain("The reading has ended");
  expect(state.asked()).toBe(1);
});

test("a failed look is a failed reading", async () => {
  const failed = new CatchingUp().untilDone(1, async () => await Promise.reject(new Error("away")));
  expect(await failed.catch(String)).toBe("Error: away");
});
