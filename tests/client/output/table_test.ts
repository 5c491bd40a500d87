// How tables cut the names of models.
import { expect, test } from "bun:test";
import { cutName } from "#src/client/output/table.ts";

test.each([
  ["phi4:latest", 11, "phi4:latest"],
  ["phi4:latest", 8, "phi4"],
  ["qwen2.5-coder:32b-instruct-q4_K_M", 20, "qwen2.5-c…uct-q4_K_M"],
  ["127.0.0.1:47701/library/slow2:latest", 14, "…library/slow2"],
  ["127.0.0.1:47701/library/slow2:latest", 29, "127.0.0.1:47701/library/slow2"],
  ["hf.co/someone/a-long-name-of-a-model:Q4_K_M", 16, "a-long-…l:Q4_K_M"],
  ["phi4:latest", 2, "p…"],
])("%s in %i columns is %s", (name, width, shown) => {
  expect(cutName(name, width)).toBe(shown);
});
