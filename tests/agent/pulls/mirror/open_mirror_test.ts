// Where a box finds the mirror: what its settings say, and which of them are refused.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type MirrorSettings, openMirror, parseMirrorUrl } from "#src/agent/pulls/mirror/open_mirror.ts";
import { systemClock } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { TlsServers } from "#tests/agent/pulls/tls_servers.ts";
import { failure } from "#tests/support/failure.ts";

const NATS = "nats://nats.example:4222";
const NOTHING = { folder: undefined, url: undefined, tokenFile: undefined, ca: undefined };

let dir: string;
let tokenFile: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "open-mirror-"));
  tokenFile = join(dir, "token");
  writeFileSync(tokenFile, "gpuc_secret\n", { mode: 0o600 });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function opened(settings: Partial<MirrorSettings>, address: string) {
  return openMirror({ mode: "auto", ...NOTHING, ...settings }, address, systemClock);
}

function codeOf(settings: Partial<MirrorSettings>, address = NATS): string {
  try {
    opened(settings, address);
  } catch (error) {
    if (error instanceof CourierError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "opened";
}

test("the mirror is on the share, unless a folder or a server is named", () => {
  expect(opened({}, "/mnt/shared")).toMatchObject({ kind: "folder", mirror: { path: "/mnt/shared/gpu_models" } });
  expect(opened({}, NATS)).toBeNull();
  for (const address of [NATS, "/mnt/shared"])
    expect(opened({ folder: "/mnt/models" }, address)).toMatchObject({ mirror: { path: "/mnt/models/gpu_models" } });
  expect(opened({ url: "https://gpu.example/mirror/", tokenFile }, NATS)).toMatchObject({
    kind: "server",
    base: "https://gpu.example/mirror",
  });
  expect(opened({ mode: "off", folder: "/mnt/models" }, NATS)).toBeNull();
});

test.each([
  ["a folder and a server", { folder: "/a", url: "https://a/mirror" }, "invalid: Both"],
  ["a token without a server", { tokenFile: "/a" }, "invalid: --mirror-token-file"],
  ["a server without a token", { url: "https://a/mirror" }, "invalid: --mirror-url needs --mirror-token-file"],
  ["only on NATS without a place", { mode: "only" }, "invalid: Cannot use --mirror only with nats://"],
  ["a token that is not there", { url: "https://a/mirror", tokenFile: "/none" }, "unauthenticated: "],
] as const)("%s is refused", (_, settings, message) => {
  expect(codeOf(settings)).toStartWith(message);
});

test("a file without a certificate, and a token that others may read, are refused", () => {
  const url = "https://gpu.example/mirror";
  expect(codeOf({ url, tokenFile, ca: tokenFile })).toContain("holds no certificate");
  const local = codeOf({ url: "http://127.0.0.1:8002/mirror", tokenFile, ca: tokenFile });
  expect(local).toBe("invalid: --mirror-ca has no effect on http://127.0.0.1:8002/mirror, which has no certificate");
  writeFileSync(join(dir, "open"), "gpuc_secret", { mode: 0o644 });
  expect(codeOf({ url, tokenFile: join(dir, "open") })).toStartWith("forbidden: ");
});

test("a server is believed with the authority of --mirror-ca, and not without it", async () => {
  const servers = new TlsServers();
  try {
    const server = servers.start(() => new Response(JSON.stringify({ layers: [] })));
    const settings = { url: `https://${server.host}/mirror`, tokenFile };
    const ca = join(dir, "ca.pem");
    writeFileSync(ca, servers.pem);
    expect(await opened({ ...settings, ca }, NATS)?.mirror.find("phi4:latest")).toMatchObject({
      text: '{"layers":[]}',
    });
    const refused = await failure(opened(settings, NATS)?.mirror.find("phi4:latest") ?? Promise.resolve());
    expect(refused).toMatchObject({ code: "unavailable", message: expect.stringContaining("certificate") });
    expect(server.requests).toEqual(["/mirror/v2/registry.ollama.ai/library/phi4/manifests/latest"]);
  } finally {
    await servers.stop();
  }
});

test.each([
  ["http://gpu.example/mirror", "unencrypted"],
  ["https://me:secret@gpu.example/mirror", "no password"],
  ["https://gpu.example/mirror?x=1", "no password, query"],
  ["gpu.example/mirror", "is no address"],
  ["file:///mirror", "is no address"],
])("the address %s is refused", (text, why) => {
  expect(() => parseMirrorUrl(text)).toThrow(why);
});

test("an address without TLS is one of this machine", () => {
  for (const host of ["127.0.0.1:8001", "localhost:8001", "[::1]:8001"])
    expect(parseMirrorUrl(`http://${host}/mirror`)).toBe(`http://${host}/mirror`);
});
