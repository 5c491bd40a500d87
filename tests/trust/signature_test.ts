// Signatures over the exact bytes of a document: the golden vectors, and what they do not cover.
import { expect, test } from "bun:test";
import { publicLine } from "#src/trust/keys.ts";
import { findSignature, isSignedBy, signDocument } from "#src/trust/signature.ts";
import { parseTrustedKeys } from "#src/trust/trusted_keys.ts";
import { sampleText } from "#tests/support/wire_samples.ts";
import { readVectors, verdictsInPython } from "./golden_vectors.ts";
import { testKey } from "./test_key.ts";

const VECTORS = "vectors.json";

const vectors = await readVectors(VECTORS);
const trusted = parseTrustedKeys(vectors.trusted_keys.join("\n"));
const utf8 = new TextDecoder("utf-8", { fatal: true });

function verdictOn(document: Buffer): string {
  let text: string;
  try {
    text = utf8.decode(document);
  } catch {
    return "not text";
  }
  const signature = findSignature(text);
  if (signature === null) return "unsigned";
  const key = trusted.get(signature.keyId);
  if (key === undefined) return "unknown key";
  return isSignedBy("command", signature, key) ? "valid" : "wrong";
}

test.each([...vectors.documents])(
  "findSignature() and isSignedBy() agree with the golden verdict on $name",
  (entry) => {
    expect(verdictOn(Buffer.from(entry.base64, "base64"))).toBe(entry.verdict);
  },
);

test("a verifier in another language agrees with every golden verdict", () => {
  expect(verdictsInPython(VECTORS)).toEqual({
    ids: vectors.key_ids,
    verdicts: vectors.documents.map(({ verdict }) => verdict),
  });
});

test("signDocument() makes the golden bytes", () => {
  const golden = sampleText("v2/command_pull_model_signed.json");
  const unsigned = findSignature(golden)?.signed ?? expect.unreachable();
  expect(unsigned).not.toContain("signature");
  expect(signDocument("command", unsigned, testKey())).toBe(golden);
  expect(publicLine(testKey(), "server@platform")).toBe(vectors.trusted_keys[0] ?? "");
});

test("isSignedBy() refuses a text that stands for no bytes, even where its replacement was signed", () => {
  const signed = signDocument("command", '{"model_name":"\ufffd"}', testKey());
  const forged = findSignature(signed.replace("\ufffd", "\ud800")) ?? expect.unreachable();
  expect(isSignedBy("command", forged, testKey())).toBe(false);
});

test("findSignature() looks at the end of a document only, so that its cost does not grow with it", () => {
  const decoy = ',"signature":{"key":"0123456789abcdef","value":"'.repeat(1200);
  const started = performance.now();
  for (let i = 0; i < 1000; i++) expect(findSignature(`{"a":${decoy}}`)).toBeNull();
  expect(performance.now() - started).toBeLessThan(1000);
});
