// src/server/webhooks/http/signature.ts, judged by the package of Standard Webhooks.
import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { parseSecrets, signedHeaders } from "#src/server/webhooks/http/signature.ts";
import { failure } from "#tests/support/failure.ts";

const [OLD, NEW, OTHER] = [24, 32, 64].map((bytes) => `whsec_${randomBytes(bytes).toString("base64")}`);
const MESSAGE = { id: "msg_1", body: '{"type":"webhook.test","text":"ä"}' };

test("the standard's own package accepts each of several secrets, and no other", () => {
  const headers = signedHeaders(MESSAGE, parseSecrets(`${OLD}\n${NEW}\n\n`, "s"), Date.now());
  for (const secret of [OLD, NEW]) expect(new Webhook(secret ?? "").verify(MESSAGE.body, headers)).toBeTruthy();
  const refuses = (change: object, body = MESSAGE.body, secret = NEW): boolean => {
    try {
      new Webhook(secret ?? "").verify(body, { ...headers, ...change });
      return false;
    } catch {
      return true;
    }
  };
  expect([
    refuses({}),
    refuses({}, MESSAGE.body, OTHER),
    refuses({}, `${MESSAGE.body} `),
    refuses({ "webhook-id": "msg_2" }),
    refuses({ "webhook-timestamp": String(Number(headers["webhook-timestamp"]) + 1) }),
  ]).toEqual([false, true, true, true, true]);
});

test("each attempt has its own time", () => {
  const [secrets, nowMs] = [parseSecrets(NEW ?? "", "s"), 1_700_000_000_999];
  const [first, second] = [nowMs, nowMs + 1].map((atMs) => signedHeaders(MESSAGE, secrets, atMs));
  expect([first?.["webhook-timestamp"], second?.["webhook-timestamp"]]).toEqual(["1700000000", "1700000001"]);
  expect(first?.["webhook-signature"]).not.toBe(second?.["webhook-signature"]);
});

test.each([
  ["", "has 0 secrets"],
  ["secret", "no secret of the form whsec_BASE64"],
  ["whsec_", "no secret of the form whsec_BASE64"],
  ["whsec_not base64!", "no secret of the form whsec_BASE64"],
  [`${OLD}\n# new\n${NEW}`, "no secret of the form whsec_BASE64"],
  [`whsec_${randomBytes(23).toString("base64")}`, "a secret of 23 bytes"],
  [`whsec_${randomBytes(65).toString("base64")}`, "a secret of 65 bytes"],
  [Array.from({ length: 5 }, () => NEW).join("\n"), "has 5 secrets"],
])("parseSecrets() refuses %#, and does not repeat it", async (text, reason) => {
  const error = await failure(Promise.try(() => parseSecrets(text, "the file")));
  expect([error.code, error.message]).toEqual(["invalid", expect.stringContaining(reason)]);
  expect(error.message).not.toContain("base64!");
});
