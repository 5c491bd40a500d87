// src/server/limits/shared_answers.ts: who shares an answer, and for how long it is kept.
import { expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { SharedAnswers } from "#src/server/limits/shared_answers.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { failure } from "#tests/support/failure.ts";

function open(keptMs: number, joinedMs?: number) {
  const clock = new ManualClock();
  const answers = new SharedAnswers<number>({ clock, keptMs, ...(joinedMs === undefined ? {} : { joinedMs }) });
  const asked: PromiseWithResolvers<number>[] = [];
  const get = async (key = "key") =>
    await answers.get(key, async () => {
      const question = Promise.withResolvers<number>();
      asked.push(question);
      return await question.promise;
    });
  return { clock, asked, get };
}

test("get() shares an answer that is awaited, however long it takes, and then asks again", async () => {
  const { clock, asked, get } = open(0);
  const first = get();
  await clock.advance(60_000);
  const second = get();
  asked[0]?.resolve(1);
  expect([await first, await second, asked.length]).toEqual([1, 1, 1]);
  const third = get();
  asked[1]?.resolve(2);
  expect([await third, asked.length]).toEqual([2, 2]);
});

test("get() joins a question only for as long as it may", async () => {
  const { clock, asked, get } = open(0, 250);
  const first = get();
  await clock.advance(249);
  const second = get();
  await clock.advance(1);
  const third = get();
  for (const [index, question] of asked.entries()) question.resolve(index);
  expect(await Promise.all([first, second, third])).toEqual([0, 0, 1]);
});

test("get() keeps an answer, or a failure, for its time from the question on", async () => {
  const { clock, asked, get } = open(1_000);
  const failed = failure(get());
  asked[0]?.reject(new CourierError("unavailable", "away"));
  expect(await failed).toMatchObject({ message: "away" });
  await clock.advance(999);
  expect([(await failure(get())).message, asked.length]).toEqual(["away", 1]);
  await clock.advance(1);
  const again = get();
  asked[1]?.resolve(2);
  expect([await again, asked.length]).toEqual([2, 2]);
});

test("get() asks under each key", async () => {
  const { asked, get } = open(1_000);
  const both = Promise.all([get("a"), get("b")]);
  for (const [index, question] of asked.entries()) question.resolve(index);
  expect(await both).toEqual([0, 1]);
});
