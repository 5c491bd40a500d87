// src/server/access/login/jwt.ts: which tokens are let in, with public keys in a file and with a shared secret.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Login } from "#src/server/access/authenticator.ts";
import { openLogin } from "#src/server/access/login/open.ts";
import type { LoginOptions } from "#src/server/access/login/options.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { ListLog, refusalOf } from "./harness.ts";
import { newSigner, signed, signedWithPss, signedWithSecret, unsigned } from "./tokens.ts";

const DAY_S = 86_400;
const SECRET = "a secret of the platform with 45 bytes in it.";
const SIGNERS = {
  RS256: newSigner("RS256", "rsa"),
  ES256: newSigner("ES256", "ec"),
  EdDSA: newSigner("EdDSA", "ed"),
};
const PUBLIC = { jwtIssuer: "https://id.example", jwtAudience: "gpu", authRole: ["gp=admin", "viewer=user"] };

let clock: ManualClock;
let log: ListLog;
let folder: string;

beforeEach(() => {
  clock = new ManualClock();
  log = new ListLog();
  folder = mkdtempSync(join(tmpdir(), "gpu-courier-login-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

async function open(options: LoginOptions): Promise<Login> {
  const login = await openLogin(options, { clock, log });
  if (login === null) throw new Error("There is no login");
  return login;
}

async function openPublic(keys: readonly object[] = Object.values(SIGNERS).map(({ jwk }) => jwk)): Promise<Login> {
  return await open({ ...PUBLIC, jwtJwks: write("keys.json", JSON.stringify({ keys })) });
}

async function openSecret(options: LoginOptions = { authRole: ["gp=admin"] }): Promise<Login> {
  return await open({ ...options, jwtSecretFile: write("secret", `${SECRET}\n`) });
}

function nowS(): number {
  return Math.floor(clock.now() / 1000);
}

/** @param more replaces claims of a token that is let in; undefined leaves one out */
function claims(more: object = {}): object {
  const now = nowS();
  return { sub: "ada", role: "admin", iss: "https://id.example", aud: "gpu", iat: now, exp: now + 600, ...more };
}

describe("with public keys", () => {
  test.each(["RS256", "ES256", "EdDSA"] as const)("lets a token in that is signed with %s", async (algorithm) => {
    expect(await (await openPublic()).authenticate(signed(claims(), SIGNERS[algorithm]))).toEqual({
      name: "user:ada",
      way: "jwt",
      role: "gp",
      agents: null,
      verbs: null,
      expiresAtMs: (nowS() + 600) * 1000,
    });
  });

  test("knows the key of a token without kid where there is one key only", async () => {
    const token = signed(claims(), SIGNERS.ES256, { kid: undefined });
    expect(await refusalOf(await openPublic([SIGNERS.ES256.jwk]), token)).toBe("none");
    expect(await refusalOf(await openPublic(), token)).toBe("unauthenticated");
  });

  test("a user without a role here is forbidden", async () => {
    const token = signed(claims({ role: "guest" }), SIGNERS.ES256);
    expect(await refusalOf(await openPublic(), token)).toBe("forbidden");
  });

  test("a jku, x5u or jwk in a token that is signed well is ignored", async () => {
    const header = {
      jku: "https://evil.example/keys",
      x5u: "https://evil.example/cert",
      jwk: newSigner("ES256", "x").jwk,
    };
    expect(await refusalOf(await openPublic(), signed(claims(), SIGNERS.ES256, header))).toBe("none");
  });

  const { RS256, ES256 } = SIGNERS;
  const other = newSigner("ES256", "ec");
  const publicPem = RS256.publicKey.export({ type: "spki", format: "pem" });
  const token =
    (more: object, header: object = {}) =>
    () =>
      signed(claims(more), ES256, header);
  test.each<[string, () => string]>([
    ["without a signature, alg none", () => `${unsigned({ alg: "none" }, claims())}.`],
    ["alg none, naming a key", () => `${unsigned({ alg: "none", kid: "ec" }, claims())}.`],
    ["alg none in capitals and small ones", () => `${unsigned({ alg: "nOnE", kid: "ec" }, claims())}.`],
    ["another algorithm than its key's", () => signed(claims(), ES256, { alg: "RS256" })],
    ["an algorithm that the key could also do", () => signedWithPss(claims(), RS256)],
    ["the public RSA key used as a secret", () => signedWithSecret(claims(), publicPem, { kid: "rsa" })],
    ["its JWK used as a secret", () => signedWithSecret(claims(), JSON.stringify(RS256.jwk), { kid: "rsa" })],
    ["an unknown key with the kid of a known one", () => signed(claims(), other)],
    ["an unknown kid", () => signed(claims(), ES256, { kid: "new" })],
    ["a kid that is no text", () => signed(claims(), ES256, { kid: ["ec"] })],
    ["a kid that every object has", () => signed(claims(), ES256, { kid: "constructor" })],
    ["a key of its own in jwk", () => signed(claims(), other, { jwk: other.jwk })],
    ["a key of its own in jku", () => signed(claims(), other, { jku: "http://127.0.0.1:1/keys" })],
    ["an extension that must be understood", token({}, { crit: ["x"], x: 1 })],
    ["a payload that is not encoded", token({}, { crit: ["b64"], b64: false })],
    ["expired", token({ exp: Math.floor(Date.parse("2026-01-02T03:04:05Z") / 1000) })],
    ["no exp", token({ exp: undefined })],
    ["exp as text", token({ exp: "2099-01-01" })],
    ["an exp beyond every number", () => signed(hugeExpiry(), ES256)],
    ["more than 24 h from now", token({ exp: 1_767_323_045 + DAY_S + 1 })],
    ["more than 24 h from now, without iat", token({ exp: 1_767_323_045 + DAY_S + 1, iat: undefined })],
    ["more than 24 h from now, issued in the future", token({ exp: 1_767_323_045 + DAY_S + 60, iat: 1_767_323_145 })],
    ["more than 24 h from its issue", token({ iat: 1_767_323_045 - DAY_S })],
    ["more than 24 h from its nbf, without iat", token({ nbf: 1_767_323_045 - DAY_S, iat: undefined })],
    ["nbf as text, without iat", token({ nbf: "now", iat: undefined })],
    ["iat as text", token({ iat: "now" })],
    ["the wrong iss", token({ iss: "https://other.example" })],
    ["no iss", token({ iss: undefined })],
    ["the wrong aud", token({ aud: ["other", "gpu2"] })],
    ["no aud", token({ aud: undefined })],
    ["nbf in the future", token({ nbf: 1_767_323_045 + 60 })],
    ["other claims than were signed", () => tampered(signed(claims({ role: "user" }), ES256))],
    ["a signature cut short", () => signed(claims(), ES256).slice(0, -4)],
    ["two parts", () => unsigned({ alg: "ES256", kid: "ec" }, claims())],
    ["five parts", () => `${signed(claims(), ES256)}.a.b`],
    ["garbage", () => "garbage"],
    ["no JSON", () => "e30x.e30x.e30x"],
    ["a header that is null", () => `${Buffer.from("null").toString("base64url")}.e30.e30`],
  ])("refuses a token: %s", async (_what, make) => {
    const login = await openPublic();
    const wrong = make();
    const caller = await login.authenticate(wrong);
    expect(caller).toMatchObject({ code: "unauthenticated" });
    expect(Bun.inspect(caller) + log.text).not.toContain(wrong.slice(0, 40));
  });

  test("names the reason in words of its own", async () => {
    const login = await openPublic();
    const reasonOf = async (more: object): Promise<unknown> => await login.authenticate(signed(claims(more), ES256));
    expect(await reasonOf({ exp: nowS() - 1 })).toMatchObject({ message: "The token has expired" });
    expect(await reasonOf({ exp: undefined })).toMatchObject({ message: 'The token\'s "exp" is missing or wrong' });
    expect(await reasonOf({ aud: "x" })).toMatchObject({ message: 'The token\'s "aud" is missing or wrong' });
    expect(await reasonOf({ exp: nowS() + 2 * DAY_S })).toMatchObject({
      message: "The token lives for more than 24 h",
    });
  });

  test("passes over symmetric keys, keys for encryption, private parts and small RSA keys", async () => {
    const octets = { kty: "oct", kid: "oct", alg: "HS256", k: Buffer.from(SECRET).toString("base64url") };
    const small = { ...newSigner("RS256", "small").jwk, n: Buffer.alloc(128, 0xc3).toString("base64url") };
    const encryption = { ...newSigner("ES256", "enc").jwk, use: "enc" };
    const { privateKey, ...whole } = newSigner("EdDSA", "whole");
    const leaked = { ...privateKey.export({ format: "jwk" }), kid: "whole" };
    const login = await openPublic([octets, small, encryption, leaked]);
    expect(await refusalOf(login, signedWithSecret(claims(), SECRET, { kid: "oct" }))).toBe("unauthenticated");
    expect(await refusalOf(login, signed(claims(), { ...whole, privateKey }))).toBe("none");
    const only = openPublic([octets, small, encryption]);
    expect(await failure(only)).toMatchObject({
      code: "invalid",
      message: expect.stringContaining("has no key for RS256"),
    });
  });
});

describe("with a shared secret", () => {
  test("lets a token with sub and exp in, with the role that the list of users gives", async () => {
    const users = write("users", "# who may do what\ngp ada\n\nviewer  eve of the lab\n");
    const login = await openSecret({ jwtUsers: users });
    const tokenOf = (sub: string): string => signedWithSecret({ sub, exp: nowS() + 600 }, SECRET);
    expect(await login.authenticate(tokenOf("ada"))).toMatchObject({ name: "user:ada", way: "jwt", role: "gp" });
    expect(await login.authenticate(tokenOf("eve of the lab"))).toMatchObject({ role: "viewer" });
    expect(await refusalOf(login, tokenOf("bob"))).toBe("forbidden");
    expect(await refusalOf(login, tokenOf("constructor"))).toBe("forbidden");
  });

  test("reads the list of users again when it changes, and lets nobody in while it cannot be read", async () => {
    const users = write("users", "gp ada\n");
    const login = await openSecret({ jwtUsers: users });
    const token = signedWithSecret({ sub: "ada", exp: nowS() + 600 }, SECRET);
    expect(await refusalOf(login, token)).toBe("none");
    write("users", "root ada, who wants more\n");
    expect([await refusalOf(login, token), await refusalOf(login, token)]).toEqual(["unavailable", "unavailable"]);
    expect(log.text.match(/line 1 of/g)).toHaveLength(1);
    write("users", "viewer ada\n# moved to the lab\n");
    expect(await login.authenticate(token)).toMatchObject({ role: "viewer" });
    chmodSync(users, 0o660);
    expect(await refusalOf(login, token)).toBe("unavailable");
    chmodSync(users, 0o640);
    expect(await refusalOf(login, token)).toBe("none");
    chmodSync(dirname(users), 0o777);
    expect(await refusalOf(login, token)).toBe("unavailable");
    chmodSync(dirname(users), 0o700);
    expect(await refusalOf(login, token)).toBe("none");
    rmSync(users);
    expect(await refusalOf(login, token)).toBe("unavailable");
  });

  test("checks issuer and audience only where they are given", async () => {
    const token = signedWithSecret(claims({ iss: "other", aud: "other" }), SECRET);
    expect(await refusalOf(await openSecret(), token)).toBe("none");
    const strict = await openSecret({ authRole: ["gp=admin"], jwtIssuer: "https://id.example", jwtAudience: "gpu" });
    expect(await refusalOf(strict, token)).toBe("unauthenticated");
    expect(await refusalOf(strict, signedWithSecret(claims(), SECRET))).toBe("none");
  });

  test.each<[string, () => string]>([
    ["alg none", () => `${unsigned({ alg: "none" }, claims())}.`],
    ["HS512", () => signedWithSecret(claims(), SECRET, { alg: "HS512" })],
    ["a public key of its own", () => signed(claims(), SIGNERS.RS256, { jwk: SIGNERS.RS256.jwk })],
    ["another secret", () => signedWithSecret(claims(), `${SECRET}x`)],
    ["the secret with the end of its line", () => signedWithSecret(claims(), `${SECRET}\n`)],
    ["expired", () => signedWithSecret(claims({ exp: nowS() }), SECRET)],
    ["no exp", () => signedWithSecret(claims({ exp: undefined }), SECRET)],
    ["8 days", () => signedWithSecret(claims({ exp: nowS() + 8 * DAY_S }), SECRET)],
  ])("refuses a token: %s", async (_what, make) => {
    expect(await refusalOf(await openSecret(), make())).toBe("unauthenticated");
  });
});

/** Claims with `1e999` as its `exp`, which parses as infinity. */
function hugeExpiry(): string {
  return JSON.stringify(claims({ exp: 7 })).replace('"exp":7', '"exp":1e999');
}

/** The same token with the role admin. */
function tampered(token: string): string {
  const [head, , signature] = token.split(".");
  return [head, Buffer.from(JSON.stringify(claims())).toString("base64url"), signature].join(".");
}
