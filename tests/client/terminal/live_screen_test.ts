// Lines that are drawn again in their place, and what is printed above them.
import { expect, test } from "bun:test";
import { LiveScreen } from "#src/client/output/live_screen.ts";
import { Capture } from "#tests/support/sites/client_run.ts";
import { Emulator } from "./emulator.ts";

async function screenOf(stream: Capture): Promise<string[]> {
  const terminal = new Emulator(stream.columns, stream.rows);
  await terminal.write(stream.text);
  return [...terminal.history, ...terminal.screen];
}

test("what is printed meanwhile stays above the lines, once", async () => {
  const stream = new Capture(true, 40, 10);
  let step = 0;
  const live = new LiveScreen(stream, "below", () => [`first ${step}`, `second ${step}`]);
  for (step = 1; step <= 3; step++) {
    live.draw();
    if (step === 2) live.above(() => void stream.write("a note\n"));
  }
  live.close();
  live.above(() => void stream.write("the end\n"));
  expect(await screenOf(stream)).toEqual(["a note", "first 3", "second 3", "the end"]);
});

test("fewer lines than before leave none of the old ones", async () => {
  const stream = new Capture(true, 40, 10);
  let lines = ["a", "b", "c"];
  const live = new LiveScreen(stream, "below", () => lines);
  lines = ["d"];
  live.draw();
  live.close();
  expect(await screenOf(stream)).toEqual(["d"]);
});

test("nothing is written when nothing changed, and lines never reach the last column or row", async () => {
  const stream = new Capture(true, 10, 4);
  const live = new LiveScreen(stream, "below", () => Array.from({ length: 9 }, (_, index) => `${index} `.repeat(20)));
  const { length } = stream.text;
  live.draw();
  expect(stream.text.length).toBe(length);
  live.close();
  expect(await screenOf(stream)).toEqual(["0 0 0 0 0", "1 1 1 1 1", "2 2 2 2 2"]);
});
