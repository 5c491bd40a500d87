// src/server/webhooks/settings.ts: which command lines are refused, and that no URL is shown.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openWebhooks, type WebhookOptions } from "#src/server/webhooks/settings.ts";
import { failure } from "#tests/support/failure.ts";

let dir: string;
let secretFile: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "gpu-courier-webhook-settings-"));
  secretFile = write("secret", `whsec_${Buffer.alloc(32, 1).toString("base64")}\n`);
});
afterAll(() => rmSync(dir, { recursive: true }));

function write(name: string, content: string, mode = 0o600): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

async function refused(options: WebhookOptions): Promise<[string, string]> {
  const { code, message } = await failure(Promise.try(() => openWebhooks(options)));
  return [code, message];
}

test("nothing is opened without a target", () => {
  expect(openWebhooks({})).toBeNull();
});

test("a target is known by the hash of its URL, and shown without path and query", () => {
  const urls = ["https://hooks.example.org/T0/secret?key=1", "http://127.0.0.1:9000/a#b", "https://hooks.example.org/"];
  const targets = openWebhooks({ webhook: urls, webhookSecretFile: secretFile })?.targets ?? [];
  expect(targets.map(({ address }) => address)).toEqual([
    "https://hooks.example.org",
    "http://127.0.0.1:9000",
    "https://hooks.example.org",
  ]);
  expect(targets.map(({ url }) => url.href)).toEqual([urls[0] ?? "", "http://127.0.0.1:9000/a", urls[2] ?? ""]);
  expect(new Set(targets.map(({ id }) => id)).size).toBe(3);
  expect(targets.map(({ id }) => id).join("")).toMatch(/^[0-9a-f]{36}$/);
});

test.each([
  ["hooks.example.org/a", "not an HTTP address"],
  ["ftp://hooks.example.org/", "not an HTTP address"],
  ["https://user:password@hooks.example.org/", "contains a password"],
  ["http://169.254.169.254/latest/", "link-local"],
  ["https://[::ffff:169.254.169.254]/", "link-local"],
  ["http://2852039166/", "link-local"],
  ["http://8.8.8.8/", "without TLS"],
])("--webhook %s is refused", async (url, reason) => {
  const [code, message] = await refused({ webhook: [url], webhookSecretFile: secretFile });
  expect([code, message]).toEqual(["invalid", expect.stringContaining(reason)]);
  expect(message).not.toContain("password@");
});

test("refuses targets without a secret, a secret without targets, a target twice, and too many", async () => {
  const url = "https://hooks.example.org/";
  expect((await refused({ webhook: [url] }))[1]).toBe("--webhook needs --webhook-secret-file");
  expect((await refused({ webhookSecretFile: secretFile }))[1]).toBe("--webhook-secret-file belongs to --webhook");
  expect((await refused({ webhookCa: secretFile }))[1]).toBe("--webhook-ca belongs to --webhook");
  const given = { webhookSecretFile: secretFile };
  expect((await refused({ webhook: [url, `${url}#a`], ...given }))[1]).toContain("named twice");
  const many = Array.from({ length: 21 }, (_, number) => `${url}${number}`);
  expect((await refused({ webhook: many, ...given }))[1]).toContain("at most 20");
});

test("refuses a secret that others may read, and files that hold something else", async () => {
  const webhook = ["https://hooks.example.org/"];
  const open = write("open", "whsec_x", 0o640);
  expect((await refused({ webhook, webhookSecretFile: open }))[0]).toBe("forbidden");
  expect((await refused({ webhook, webhookSecretFile: write("text", "password") }))[0]).toBe("invalid");
  expect((await refused({ webhook, webhookSecretFile: join(dir, "missing") }))[0]).toBe("invalid");
  const ca = { webhook, webhookSecretFile: secretFile, webhookCa: write("ca", "no certificate") };
  expect((await refused(ca))[1]).toContain("has no certificate");
});
