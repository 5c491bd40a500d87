// How a program prints the failure that ends it.
import { expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { CourierError } from "#src/base/errors.ts";
import { printError } from "#src/program/exit.ts";
import { writeError } from "#src/program/journal.ts";

/** What the three programs write to stderr themselves. */
function written(write: () => void): string {
  const texts: string[] = [];
  const stderr = spyOn(process.stderr, "write").mockImplementation((text) => texts.push(String(text)) > 0);
  try {
    write();
  } finally {
    stderr.mockRestore();
  }
  return texts.join("");
}

/** Any text, rich in characters that a terminal obeys. */
const foreignText = fc.string({
  unit: fc.oneof(fc.constantFrom("\n", "\r", "\u001b", "\u009b", "\u202e"), fc.string()),
});

test("printError() writes one line for the message and one for the hint, whatever they quote", () => {
  fc.assert(
    fc.property(foreignText, foreignText, (message, hint) => {
      const text = written(() => printError(new CourierError("conflict", message, { hint })));
      expect(text.split("\n")).toEqual([expect.stringMatching(/^error: /), expect.stringMatching(/^ {2}/), ""]);
      expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
    }),
  );
});

test("printError() writes one document under --json, with all of the text in it", () => {
  const text = written(() => printError(new CourierError("conflict", "a\nb\u009b2J"), { json: true }));
  expect(text).toBe('{"error":{"code":"conflict","message":"a\\nb\\u009b2J","hint":null}}\n');
});

test.each([
  ['Cannot pull "phi4": Ollama says: unexpected EOF', 'gpu-1 says: Cannot pull "phi4": Ollama: unexpected EOF'],
  ["Ollama at http://127.0.0.1:11434 says: no", "gpu-1 says: Ollama: no"],
  ["The model says: Ollama says hello", "gpu-1 says: The model says: Ollama says hello"],
])("printError() says once who says %p", (message, shown) => {
  expect(written(() => printError(new CourierError("internal", message, { saidBy: "gpu-1" })))).toBe(
    `error: ${shown}\n`,
  );
  expect(written(() => printError(new CourierError("internal", message)))).toBe(`error: ${message}\n`);
});

test("writeError() keeps the lines of a help text, and nothing that moves the cursor", () => {
  expect(written(() => writeError("error: unknown option '\u001b[2J'\nUsage: x\n"))).toBe(
    "error: unknown option ' [2J'\nUsage: x\n",
  );
});
