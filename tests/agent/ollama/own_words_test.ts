// The text of a failed pull that is shown: Ollama quotes registries, and any host that it is redirected to.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { ollamaFailure } from "#src/agent/ollama/meanings.ts";
import type { CourierError } from "#src/base/errors.ts";
import { shortReason } from "#src/base/foreign_text.ts";

const manifest = "pull model manifest: ";
const registry = `${manifest}Get "https://registry.ollama.ai/v2/library/m/manifests/latest": `;

/** @param text of Ollama */
function fail(text: string): CourierError {
  return ollamaFailure({ action: "pull", url: "http://127.0.0.1:11434", isPull: true }, text);
}

test.each([
  [`${manifest}403: <html>internal secret`, `${manifest}status 403`],
  [`${manifest}500: {"error":"internal secret"}`, `${manifest}status 500`],
  [`${manifest}412: The model requires a newer version of Ollama: secret`, `${manifest}status 412`],
  ["401: secret\nsecret", "status 401"],
  [
    `${registry}net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-secret"`,
    `${registry}net/http: HTTP/1.x transport connection broken: malformed HTTP response`,
  ],
  [`${registry}net/http: malformed HTTP status code "secret"`, `${registry}net/http: malformed HTTP status code`],
  [`${registry}malformed MIME header line: secret`, `${registry}malformed MIME header`],
  ["max retries exceeded: 500: internal secret", "max retries exceeded: status 500"],
  [`${registry}bad Content-Length "secret"`, `${registry}bad Content-Length`],
  [
    `${registry}failed to parse Location header "secret": parse "secret": no`,
    `${registry}failed to parse Location header`,
  ],
  [`${manifest}invalid character 's' looking for beginning of value`, `${manifest}invalid character`],
  [
    `${registry}tls: failed to verify certificate: x509: certificate is valid for secret, not x`,
    `${registry}tls: failed to verify certificate: x509: certificate is valid for`,
  ],
  [
    `${manifest}Get "https://10.0.0.1/login?ticket=secret": dial tcp 10.0.0.1:443: connect: connection refused`,
    `${manifest}Get "https://10.0.0.1/...": dial tcp 10.0.0.1:443: connect: connection refused`,
  ],
  [`${manifest}a new secret text`, `${manifest}see Ollama's log`],
  ["a new secret text", "something unknown, see Ollama's log"],
])("shows of %j nothing that the registry's host wrote", (text, shown) => {
  const { message, hint } = fail(text);
  expect(message).toEndWith(` says: ${shown}`);
  expect(hint ?? "").not.toContain("secret");
});

test.each([
  "dial tcp: lookup hub.typo on 10.0.0.53:53: read udp 10.0.0.2:38231->10.0.0.53:53: i/o timeout",
  "dial tcp: lookup hub.typo on [::1]:53: read udp [::1]:49873->[::1]:53: read: connection refused",
  "dial tcp: lookup hub.typo on 10.0.0.53:53: dial udp 10.0.0.53:53: connect: network is unreachable",
  "dial tcp: lookup hub.typo: No address associated with hostname",
  "read tcp 10.0.0.2:4->10.0.0.1:443: read: connection reset by peer",
  "write tcp 10.0.0.2:4->10.0.0.1:443: write: broken pipe",
])("shows why the registry cannot be reached: %s", (words) => {
  const { code, message } = fail(`${registry}${words}`);
  expect([code, message]).toEqual(["unavailable", expect.stringMatching(/^Cannot pull: Ollama says: [^]*$/)]);
  expect(message).toEndWith(words);
});

test("names Ollama's machine in the hint, where it is known", () => {
  const text = `${registry}dial tcp: lookup registry.ollama.ai: no such host`;
  const asked = { action: "pull", url: "http://127.0.0.1:11434", isPull: true };
  expect(ollamaFailure(asked, text).hint).toBe("Can this machine reach the registry?");
  expect(ollamaFailure({ ...asked, machine: "gpu-1" }, text).hint).toBe("Can gpu-1 reach the registry?");
});

test("a reader of unknown words is sent to the log of Ollama's machine", () => {
  const asked = { action: 'pull "x"', url: "http://127.0.0.1:11434", machine: "gpu-3", isPull: true };
  const { message } = ollamaFailure(asked, `${registry}a new secret text`);
  expect(shortReason(message)).toBe("registry.ollama.ai: see Ollama's log on gpu-3");
});

test("shows nothing of any answer of a registry, and takes none of it for an error of its own", () => {
  const inner = fc.constantFrom(
    "no space left on device",
    `${registry}dial tcp 10.0.0.1:80: connect: connection refused`,
    "500: boom",
    "max retries exceeded: ",
    'model "x" not found',
    "\n: open /etc/SECRET: permission denied",
  );
  const body = fc
    .array(fc.oneof(inner, fc.string({ maxLength: 20 })), { maxLength: 4 })
    .map((parts) => [...parts.slice(0, 2), "SECRET", ...parts.slice(2)].join(": "));
  const templates: readonly ((text: string) => string)[] = [
    (text) => `${manifest}500: ${text}`,
    (text) => `403: ${text}`,
    (text) => `max retries exceeded: 500: ${text}`,
    (text) => `${registry}bad Content-Length ${JSON.stringify(text)}`,
    (text) => `${registry}failed to parse Location header ${JSON.stringify(text)}: parse ${JSON.stringify(text)}: no`,
    (text) =>
      `${registry}net/http: HTTP/1.x transport connection broken: malformed HTTP response ${JSON.stringify(text)}`,
    (text) => `${registry}malformed MIME header line: ${text}`,
    (text) => `${manifest}Get ${JSON.stringify(`https://h/${text}`)}: unexpected EOF`,
  ];
  fc.assert(
    fc.property(fc.constantFrom(...templates), body, (template, text) => {
      const [failed, empty] = [fail(template(text)), fail(template(""))];
      expect(failed.message).not.toContain("SECRET");
      expect([failed.code, failed.hint]).toEqual([empty.code, empty.hint]);
    }),
    { numRuns: 2_000 },
  );
  fc.assert(fc.property(body, (text) => expect(fail(`x${text}`).message).not.toContain("SECRET")));
});
