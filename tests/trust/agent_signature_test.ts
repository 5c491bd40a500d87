// The signatures of agents, under their responses and states: the golden vectors.
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { fieldOf, parseJson } from "#src/base/foreign_text.ts";
import { parseRawKey, rawKey } from "#src/trust/keys.ts";
import { findSignature, SIGNATURE_BYTES, signDocument, verifyDocument } from "#src/trust/signature.ts";
import { parseTrustedKeys } from "#src/trust/trusted_keys.ts";
import { sampleDocument, sampleText } from "#tests/support/wire_samples.ts";
import { type GoldenDocument, readVectors, verdictsInPython } from "./golden_vectors.ts";
import { testKey } from "./test_key.ts";

const VECTORS = "agent_vectors.json";

interface AgentDocument extends GoldenDocument {
  readonly kind: "response" | "state";
}

const vectors = await readVectors<AgentDocument>(VECTORS);
const [agentKey] = parseTrustedKeys(vectors.trusted_keys.join("\n")).values();
const utf8 = new TextDecoder("utf-8", { fatal: true });

function verdictOn(kind: "response" | "state", document: Buffer): string {
  let text: string;
  try {
    text = utf8.decode(document);
  } catch {
    return "not text";
  }
  const named = fieldOf(parseJson(text), "key");
  const key = kind === "state" ? parseRawKey(String(named)) : (agentKey ?? expect.unreachable());
  const verdict = verifyDocument(kind, text, key);
  return verdict === "signed" ? "valid" : verdict;
}

test.each([...vectors.documents])("verifyDocument() agrees with the golden verdict on $name", (entry) => {
  expect(verdictOn(entry.kind, Buffer.from(entry.base64, "base64"))).toBe(entry.verdict);
});

test("a verifier in another language agrees with every golden verdict", () => {
  expect(verdictsInPython(VECTORS)).toEqual({
    ids: vectors.key_ids,
    verdicts: vectors.documents.map(({ verdict }) => verdict),
  });
});

test.each([
  ["response", "v2/response_pull_model_signed.json"],
  ["state", "v2/state_signed.json"],
] as const)("signDocument() makes the golden bytes of a %s, SIGNATURE_BYTES longer", (kind, path) => {
  const golden = sampleText(path);
  const unsigned = findSignature(golden)?.signed ?? expect.unreachable();
  expect(signDocument(kind, unsigned, testKey(3))).toBe(golden);
  expect(golden.length - unsigned.length).toBe(SIGNATURE_BYTES);
});

test("the golden response names the bytes of the golden command", () => {
  const { request } = sampleDocument("v2/response_pull_model_signed.json");
  const command = sampleText("v2/command_pull_model_signed.json");
  expect(request).toBe(createHash("sha256").update(command).digest("hex"));
});

test("parseRawKey() reads what rawKey() writes, and nothing else", () => {
  const raw = rawKey(testKey(3));
  expect([raw.length, parseRawKey(raw)?.id]).toEqual([44, testKey(3).id]);
  for (const text of ["", raw.slice(1), `${raw} `, ` ${raw}`, `${"_".repeat(43)}=`, `${"A".repeat(42)}B=`])
    expect(parseRawKey(text)).toBeNull();
});
