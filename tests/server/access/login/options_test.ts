// src/server/access/login/{options,open,address,...}.ts: which options are taken, and which are refused with which advice.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { openLogin } from "#src/server/access/login/open.ts";
import type { LoginOptions } from "#src/server/access/login/options.ts";
import { failure } from "#tests/support/failure.ts";
import { newSigner } from "./tokens.ts";

const ROLES = { authRole: ["gp=admin"] };
const ASK = { authIntrospect: "https://platform.example/users/me", ...ROLES };
const KEYS = { jwtJwks: "https://id.example/keys", jwtIssuer: "me", jwtAudience: "gpu", ...ROLES };

const IS_ROOT = process.getuid?.() === 0;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "gpu-courier-login-options-"));
  write("secret", "s".repeat(32), 0o600);
  write("31-bytes", `${"s".repeat(31)}\r\n`, 0o600);
  write("open-secret", "s".repeat(64), 0o640);
  write("keys.json", JSON.stringify({ keys: [newSigner("ES256", "a").jwk] }), 0o644);
  write("text", "some text\n", 0o644);
  write("users", "gp ada\n", 0o644);
  write("users-comment", "# the lab\ngp alice # admin\n", 0o644);
  write("users-twice", "gp ada\nviewer ada\n", 0o644);
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string, mode: number): void {
  writeFileSync(join(folder, name), content);
  chmodSync(join(folder, name), mode);
}

/** `@name` is a file of the folder. */
async function open(options: LoginOptions) {
  const inFolder = (value: unknown): unknown =>
    typeof value === "string" && value.startsWith("@") ? join(folder, value.slice(1)) : value;
  const resolved: LoginOptions = Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name, inFolder(value)]),
  );
  return await openLogin(resolved, { clock: systemClock, log: silentLog });
}

describe("openLogin()", () => {
  test("opens nothing without an option", async () => {
    expect(await open({ authIntrospectPlain: false })).toBeNull();
  });

  test.each<LoginOptions>([
    ASK,
    { ...ASK, authIntrospect: "http://127.0.0.1:8000/users/me" },
    { ...ASK, authIntrospect: "http://localhost:8000/users/me" },
    { ...ASK, authIntrospect: "http://[::1]:8000/users/me" },
    { ...ASK, authIntrospect: "http://10.1.2.3:8000/users/me", authIntrospectPlain: true },
    { ...ASK, authIntrospect: "http://[fd00::1]/users/me", authIntrospectPlain: true },
    { ...ASK, authRole: ["gp = admin, operator;viewer=user"] },
    KEYS,
    { jwtJwks: "@keys.json", ...ROLES },
    { jwtSecretFile: "@secret", ...ROLES },
    { jwtSecretFile: "@secret", jwtUsers: "@users" },
  ])("takes %p", async (options) => {
    expect(await open(options)).not.toBeNull();
  });

  test.each<[string, LoginOptions]>([
    ["--auth-introspect and --jwt-jwks cannot be used together", { ...ASK, ...KEYS }],
    ["--jwt-jwks and --jwt-secret-file cannot be used together", { ...KEYS, jwtSecretFile: "@secret" }],
    ["--auth-introspect and --jwt-secret-file cannot be used together", { ...ASK, jwtSecretFile: "@secret" }],
    ["--jwt-users and --auth-role cannot be used together", { jwtSecretFile: "@secret", jwtUsers: "@users", ...ROLES }],
    ["--auth-role belongs to --auth-introspect or --jwt-jwks or --jwt-secret-file", ROLES],
    ["--auth-introspect-ca belongs to --auth-introspect", { ...KEYS, authIntrospectCa: "@text" }],
    ["--auth-introspect-plain belongs to --auth-introspect", { ...KEYS, authIntrospectPlain: true }],
    ["--jwt-issuer belongs to --jwt-jwks or --jwt-secret-file", { ...ASK, jwtIssuer: "me" }],
    ["--jwt-users belongs to --jwt-secret-file", { ...KEYS, jwtUsers: "@users" }],
    ["Without --auth-role no user of the platform may do anything", { authIntrospect: ASK.authIntrospect }],
    ['--auth-role: "root=admin" is not', { ...ASK, authRole: ["root=admin"] }],
    ['--auth-role: "gp" is not', { ...ASK, authRole: ["gp"] }],
    ['--auth-role: "gp=admin," is not', { ...ASK, authRole: ["gp=admin,"] }],
    ['--auth-role: "admin" has two roles', { ...ASK, authRole: ["gp=admin", "viewer=admin"] }],
    ["--auth-introspect: this is not an HTTP address", { ...ASK, authIntrospect: "platform.example/users/me" }],
    ["--auth-introspect: this is not an HTTP address", { ...ASK, authIntrospect: "file:///etc/passwd" }],
    [
      "--auth-introspect: the address contains a password",
      { ...ASK, authIntrospect: "https://a:b@platform.example/me" },
    ],
    ["--auth-introspect: 10.1.2.3 would be asked without TLS", { ...ASK, authIntrospect: "http://10.1.2.3/me" }],
    ["--auth-introspect: platform.example would be", { ...ASK, authIntrospect: "http://platform.example/me" }],
    [
      "--auth-introspect: 192.0.2.1 would be",
      { ...ASK, authIntrospect: "http://192.0.2.1/me", authIntrospectPlain: true },
    ],
    [
      "--auth-introspect: localhost.example would be",
      { ...ASK, authIntrospect: "http://localhost.example/me", authIntrospectPlain: true },
    ],
    ["--auth-introspect-ca: cannot read", { ...ASK, authIntrospectCa: "@nothing" }],
    ["has no certificate", { ...ASK, authIntrospectCa: "@text" }],
    ["--jwt-jwks: id.example would be asked without TLS", { ...KEYS, jwtJwks: "http://id.example/keys" }],
    ["The URL of a JWKS needs --jwt-issuer and --jwt-audience", { ...KEYS, jwtIssuer: undefined }],
    ["The URL of a JWKS needs --jwt-issuer and --jwt-audience", { ...KEYS, jwtAudience: undefined }],
    ["--jwt-jwks: cannot read", { ...ROLES, jwtJwks: "@nothing" }],
    ["has no key for RS256, ES256 or EdDSA", { ...ROLES, jwtJwks: "@text" }],
    ["has 31 bytes, at least 32 are needed", { ...ROLES, jwtSecretFile: "@31-bytes" }],
    ["--jwt-secret-file: cannot read", { ...ROLES, jwtSecretFile: "@nothing" }],
    ["is not a regular file", { ...ROLES, jwtSecretFile: "@" }],
    ["line 1 of", { jwtSecretFile: "@secret", jwtUsers: "@text" }],
    ["line 2 of", { jwtSecretFile: "@secret", jwtUsers: "@users-twice" }],
    ["users-comment has a comment after its subject", { jwtSecretFile: "@secret", jwtUsers: "@users-comment" }],
  ])("refuses with %p", async (message, options) => {
    expect(await failure(open(options))).toMatchObject({ code: "invalid", message: expect.stringContaining(message) });
  });

  test("refuses a secret that other users may read", async () => {
    expect(await failure(open({ ...ROLES, jwtSecretFile: "@open-secret" }))).toMatchObject({
      code: "forbidden",
      hint: expect.stringContaining("chmod 600"),
    });
  });

  const unsafe: readonly (readonly [what: string, spoil: (path: string) => void, fix: string])[] = [
    ["its group may write to", (path) => chmodSync(path, 0o664), "chmod go-w"],
    ["everybody may write to", (path) => chmodSync(path, 0o646), "chmod go-w"],
    ["belongs to another user", (path) => chownSync(path, 1234, 0), "chown root"],
  ];

  test.each(IS_ROOT ? unsafe : unsafe.slice(0, 2))("refuses a file that %s", async (_, spoil, fix) => {
    const files: readonly (readonly [content: string, options: (path: string) => LoginOptions])[] = [
      ["gp ada\n", (path) => ({ jwtSecretFile: "@secret", jwtUsers: path })],
      ["-----BEGIN CERTIFICATE-----\n", (path) => ({ ...ASK, authIntrospectCa: path })],
      [JSON.stringify({ keys: [newSigner("ES256", "a").jwk] }), (path) => ({ ...ROLES, jwtJwks: path })],
    ];
    for (const [index, [content, options]] of files.entries()) {
      const path = join(folder, `unsafe-${index}-${fix}`);
      write(`unsafe-${index}-${fix}`, content, 0o644);
      expect(await open(options(path))).not.toBeNull();
      spoil(path);
      const hint = expect.stringContaining(`${fix} ${path}`);
      expect(await failure(open(options(path)))).toMatchObject({ code: "forbidden", hint });
    }
  });

  test("refuses a file in a folder that others may write to: they could put another in its place", async () => {
    const open777 = join(folder, "open");
    mkdirSync(open777);
    chmodSync(open777, 0o777);
    write("open/users", "gp ada\n", 0o644);
    const options = { jwtSecretFile: "@secret", jwtUsers: join(open777, "users") };
    expect(await failure(open(options))).toMatchObject({
      code: "forbidden",
      message: expect.stringContaining(`its folder ${open777} is not safe`),
      hint: expect.stringContaining(`chmod go-w ${open777}`),
    });
    chmodSync(open777, 0o755);
    expect(await open(options)).not.toBeNull();
  });
});
