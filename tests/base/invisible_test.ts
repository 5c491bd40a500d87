// What a terminal never gets, neither as text nor in JSON.
import { describe, expect, test } from "bun:test";
import { visibleText } from "#src/base/format.ts";
import { jsonText } from "#src/base/invisible.ts";

/** C0 and C1 controls, bidi, zero width, blanks without ink, line separators, tags. */
const INVISIBLE =
  "0 1b 7f 80 85 9b 9f 61c 200e 200f 202a 202e 2066 2069 ad 34f 115f 180e 200b 200c 200d 2060 2064 3164 fe0f feff 2028 2029 e0041";

describe.each(INVISIBLE.split(" "))("U+%s", (code) => {
  const character = String.fromCodePoint(Number.parseInt(code, 16));
  const document = { [`a${character}b`]: [`c${character}d`], e: 1 };

  test("jsonText() writes it as \\uXXXX, and the document stays the same", () => {
    for (const indent of [undefined, 2]) {
      const text = jsonText(document, indent);
      expect(text).toMatch(/^[\n -~]+$/);
      expect(JSON.parse(text)).toEqual(document);
      expect(text.split("\n").length).toBe(JSON.stringify(document, null, indent).split("\n").length);
    }
  });

  test("visibleText() makes it a space", () => {
    expect(visibleText(`a${character}b`)).toBe("a b");
  });
});

test("jsonText() and visibleText() leave every script as it is", () => {
  const text = "phi4 два 模型 é مرحبا हिन्दी 🚀";
  expect([jsonText([text]), visibleText(`${text}\n`)]).toEqual([JSON.stringify([text]), `${text}\n`]);
});
