// src/base/model_name: Ollama's grammar of names, by examples that a real Ollama accepted or refused.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { CourierError } from "#src/base/errors.ts";
import { formatModelName, isCloudName, normalModelName, parseModelName, sameModel } from "#src/base/model_name.ts";

const LONG = "a".repeat(80);

const ACCEPTED = [
  ["llama3.2", "llama3.2:latest"],
  ["llama3.2:1b", "llama3.2:1b"],
  ["LLaMA3:8B", "LLaMA3:8B"],
  ["library/tiny", "tiny:latest"],
  ["Library/tiny", "tiny:latest"],
  ["me_1/my-model.v2:q4_K_M", "me_1/my-model.v2:q4_K_M"],
  ["registry.ollama.ai/library/tiny:latest", "tiny:latest"],
  ["Registry.Ollama.AI/LIBRARY/tiny", "tiny:latest"],
  ["registry.ollama.ai/me/tiny", "me/tiny:latest"],
  ["127.0.0.1:5000/library/tiny:latest", "127.0.0.1:5000/library/tiny:latest"],
  ["http://127.0.0.1:5000/library/tiny:latest", "127.0.0.1:5000/library/tiny:latest"],
  ["https://registry.ollama.ai/library/tiny", "tiny:latest"],
  ["localhost:5000/a/b", "localhost:5000/a/b:latest"],
  ["localhost/a/b:c", "localhost/a/b:c"],
  ["hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M", "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M"],
  ["_why/_the/_lucky:_stiff", "_why/_the/_lucky:_stiff"],
  ["m", "m:latest"],
  ["0", "0:latest"],
  ["a.b_c-d", "a.b_c-d:latest"],
  ["x:0.5b", "x:0.5b"],
  ["n-s/m..x:t..u", "n-s/m..x:t..u"],
  ["host:https/n/m:t", "host:https/n/m:t"],
  ["m-", "m-:latest"],
  ["m.", "m.:latest"],
  [LONG, `${LONG}:latest`],
  [`${"h".repeat(350)}/${LONG}/${LONG}:${LONG}`, `${"h".repeat(350)}/${LONG}/${LONG}:${LONG}`],
  ["  phi4:latest\n", "phi4:latest"],
  ["gpt-oss:120b-cloud", "gpt-oss:120b-cloud"],
] as const;

const REFUSED = [
  ["", "empty"],
  ["   ", "white space alone"],
  ["/", "a slash alone"],
  ["m:", "an empty tag"],
  [":t", "an empty model"],
  ["/m", "an empty namespace"],
  ["n/", "an empty model behind a namespace"],
  ["h/n/m/", "a slash at the end"],
  ["//m", "an empty host and namespace"],
  ["a//b", "an empty namespace between two slashes"],
  ["n.s/m", "a dot in the namespace"],
  ["127.0.0.1:5000/tiny", "a host without a namespace"],
  ["na:me/m", "a colon in the namespace"],
  ["http://h/m", "a scheme without a host"],
  ["http://m", "a scheme and a model"],
  ["http:///n/m", "an empty host behind a scheme"],
  ["-m", "a hyphen in front"],
  ["m:-t", "a hyphen in front of the tag"],
  [".m", "a dot in front"],
  ["a b", "a space inside"],
  ["m@sha256:abc", "a digest"],
  ["a/b/c/d", "four parts"],
  ["http://a/b/c/d", "four parts behind a scheme"],
  [`${LONG}a`, "a model of 81"],
  [`m:${LONG}a`, "a tag of 81"],
  [`${LONG}a/m`, "a namespace of 81"],
  [`${"h".repeat(351)}/n/m`, "a host of 351"],
  ["modèle", "a character outside ASCII"],
  ["m:t:u", "two tags"],
  ["../m", "a parent folder in front"],
  ["h/n/..", "a parent folder at the end"],
  ["..", "a parent folder"],
  ["[::1]:5000/n/m", "a host in brackets"],
  ["m\\x", "a backslash"],
  ["m+x", "a plus"],
  ["m%2fx", "an encoded slash"],
  ["m\0", "a zero byte"],
  ["m\nx", "a line feed inside"],
  ["m\u001b[31m", "an escape sequence"],
  ["x".repeat(1_000_000), "a million characters"],
] as const;

function refusal(text: string): CourierError {
  try {
    parseModelName(text);
  } catch (error) {
    if (error instanceof CourierError) return error;
  }
  throw new Error(`Expected a refusal of "${text}"`);
}

describe("parseModelName()", () => {
  test.each(ACCEPTED)("accepts %p and formatModelName() shows %p", (text, shown) => {
    expect(formatModelName(parseModelName(text))).toBe(shown);
  });

  test.each(REFUSED)("refuses %p: %s", (text) => {
    expect(refusal(text).code).toBe("invalid");
  });

  test.each(["phi4:local", "phi4:LOCAL", "me/phi4:local", "h/me/phi4:Local"])(
    "refuses %p: Ollama deletes the name without the tag, and copies the one with it",
    (text) => {
      expect(refusal(text).message).toBe(`Cannot use "${text}" as a model name: Ollama ignores the tag "local"`);
    },
  );

  test.each(["local", "local/m", "h:5000/local/local:x", "m:local-1", "m:locale"])("accepts %p", (text) => {
    expect(sameModel(text, text)).toBe(true);
  });

  test("fills in Ollama's defaults when only the model is named", () => {
    const defaults = { host: "registry.ollama.ai", namespace: "library", model: "phi4", tag: "latest" };
    expect(parseModelName("phi4")).toEqual(defaults);
  });

  test("keeps the error short and printable when the name is not", () => {
    const { message, hint } = refusal(`\u001b[2J${"x".repeat(1_000_000)}`);
    expect(message).toMatch(/^[ -~]{1,200}$/);
    expect(hint).toContain("phi4:latest");
  });
});

describe("normalModelName()", () => {
  const part = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,20}$/);
  const name = fc.tuple(fc.option(fc.tuple(fc.option(part), part)), part, fc.option(part)).map(([path, model, tag]) => {
    const [host, namespace] = path ?? [null, null];
    const folder = namespace === null ? "" : `${host === null ? "" : `${host}/`}${namespace}/`;
    return `${folder}${model}${tag === null ? "" : `:${tag}`}`;
  });

  test("returns its own results unchanged", () => {
    fc.assert(
      fc.property(name, (text) => {
        const shown = normalModelName(text);
        expect(normalModelName(shown)).toBe(shown);
        expect(parseModelName(shown)).toEqual(parseModelName(text));
      }),
    );
  });

  test("returns nothing that escapes a folder, whatever the input", () => {
    const characters = fc.constantFrom(...Array.from("aZ0-_./\\~ \n\0:@"));
    fc.assert(
      fc.property(fc.string({ unit: characters, maxLength: 12 }), (text) => {
        if (!sameModel(text, text)) return;
        const parts = normalModelName(text).split(/[/:]/);
        for (const piece of parts) expect(piece).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/);
      }),
    );
  });
});

describe("isCloudName()", () => {
  test.each([
    ["gpt-oss:120b-cloud", true],
    ["gpt-oss:Cloud", true],
    ["me/m:x-CLOUD", true],
    ["cloud:latest", false],
    ["m:cloudy", false],
    ["h-cloud/me/m:latest", false],
  ])("of %p is %p", (name, is) => {
    expect(isCloudName(name)).toBe(is);
  });
});

describe("sameModel()", () => {
  test.each([
    ["phi4", "phi4:latest"],
    ["phi4", "PHI4:Latest"],
    ["library/phi4", "registry.ollama.ai/library/phi4:latest"],
    ["Registry.ollama.ai/Library/phi4", "phi4"],
    ["http://127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest"],
  ])("is true for %p and %p", (a, b) => {
    expect(sameModel(a, b)).toBe(true);
  });

  test.each([
    ["phi4", "phi4:mini"],
    ["phi4", "me/phi4"],
    ["a/phi4", "h/a/phi4"],
    ["hf.co/a/b", "huggingface.co/a/b"],
    ["", ""],
    ["../m", "../m"],
  ])("is false for %p and %p", (a, b) => {
    expect(sameModel(a, b)).toBe(false);
  });
});
