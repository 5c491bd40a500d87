// src/courier/index/shared_texts.ts: documents stay what they are.
import { expect, test } from "bun:test";
import { SharedTexts } from "#src/courier/index/shared_texts.ts";
import { State } from "#src/protocol.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";

const SAMPLE = State.parse(sampleDocument("v2/state.json"));

test("share() changes no document, also after more texts than it keeps", () => {
  const texts = new SharedTexts();
  for (let number = 0; number < 30_000; number++) {
    const model = { name: `model-${number}`, digest: `digest-${number}`, size: number, modified_at: "" };
    const document = structuredClone({ ...SAMPLE, models: [model] });
    const before = number % 5_000 === 0 ? structuredClone(document) : null;
    texts.share(document);
    if (before !== null) expect(document).toEqual(before);
  }
});
