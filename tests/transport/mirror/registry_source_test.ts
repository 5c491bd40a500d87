// Reading models from registries that want a token, send blobs from elsewhere, or send us where nobody should go.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { parseModelName } from "#src/base/model_name.ts";
import { AllowedRegistries } from "#src/program/registry/allowed_registries.ts";
import { RegistrySource, type RegistrySourceOptions } from "#src/transport/mirror/registry_source.ts";
import { type TlsServer, TlsServers } from "#tests/agent/pulls/tls_servers.ts";
import { failure } from "#tests/support/failure.ts";
import { digestOf } from "#tests/support/sites/mirror_share.ts";

const BLOB = "0123456789";
const LAYER = { digest: digestOf(BLOB), bytes: BLOB.length };
const MANIFEST = JSON.stringify({ layers: [{ digest: LAYER.digest, size: LAYER.bytes }] });
const signal = new AbortController().signal;

let servers: TlsServers;
beforeEach(() => {
  servers = new TlsServers();
});
afterEach(async () => await servers.stop());

interface Choices extends Partial<RegistrySourceOptions> {
  readonly allowed?: readonly string[];
}

function sourceFor({ allowed = ["*"], ...options }: Choices = {}): RegistrySource {
  const registries = new AllowedRegistries({ agent: "this machine", allowed, insecure: [] });
  return new RegistrySource({ registries, fetch: servers.fetch, ...options });
}

async function blobOf(source: RegistrySource, model: string, from = 0): Promise<string> {
  let text = "";
  for await (const chunk of source.readBlob(parseModelName(model), LAYER, from, signal)) {
    text += new TextDecoder().decode(chunk);
  }
  return text;
}

async function manifestOf(source: RegistrySource, model: string): Promise<string> {
  return await source.readManifest(parseModelName(model), signal);
}

/** The bytes that a request wants. */
function served(request: Request): Response {
  const [, from = "0"] = /^bytes=(\d+)-/.exec(request.headers.get("range") ?? "") ?? [];
  return new Response(BLOB.slice(Number(from)), { status: request.headers.has("range") ? 206 : 200 });
}

/** A registry that takes one token at a time; `renew` makes the last one useless. */
function guarded(realm: (self: string) => string = (self) => `https://${self}/token`) {
  let count = 0;
  let isStale = false;
  const server: TlsServer = servers.start((url, request) => {
    if (url.pathname === "/token") {
      isStale = false;
      return Response.json({ token: `t${++count}` });
    }
    if (!isStale && request.headers.get("authorization") === `Bearer t${count}` && count > 0) {
      return url.pathname.includes("/manifests/") ? new Response(MANIFEST) : served(request);
    }
    const challenge = `Bearer realm="${realm(server.host)}",service="s",scope="repository:me/a:pull"`;
    return new Response("", { status: 401, headers: { "www-authenticate": challenge } });
  });
  return { server, tokens: () => count, expire: () => (isStale = true) };
}

describe("tokens for anybody", () => {
  test("one is got where the registry wants it, used for all requests, and renewed when it has ended", async () => {
    const { server, tokens, expire } = guarded();
    const source = sourceFor();
    expect(await manifestOf(source, `${server.host}/me/a`)).toBe(MANIFEST);
    expect(await blobOf(source, `${server.host}/me/a`, 4)).toBe("456789");
    expect(await blobOf(source, `${server.host}/me/a`)).toBe(BLOB);
    expect(tokens()).toBe(1);
    expect(server.requests).toHaveLength(5);
    expire();
    expect(await blobOf(source, `${server.host}/me/a`)).toBe(BLOB);
    expect(tokens()).toBe(2);
  });

  test("another host gives one only if it is allowed", async () => {
    const other = servers.start(() => Response.json({ token: "t0" }));
    const { server } = guarded(() => `https://${other.byName}/token`);
    const refused = await failure(manifestOf(sourceFor({ allowed: [server.host] }), `${server.host}/me/a`));
    expect(refused.code).toBe("forbidden");
    expect(other.requests).toEqual([]);
    const model = `${server.host}/me/a`;
    await failure(manifestOf(sourceFor({ allowed: [server.host, other.byName] }), model));
    expect(other.requests).toEqual(["/token"]);
  });

  test.each([
    ["no challenge", null],
    ["basic authentication", 'Basic realm="https://127.0.0.1/"'],
    ["a realm that is no address", 'Bearer realm="%"'],
    ["a realm without TLS", 'Bearer realm="http://127.0.0.1:1/token"'],
  ])("a registry that sends %s asks for a login", async (_, challenge) => {
    const headers: Record<string, string> = challenge === null ? {} : { "www-authenticate": challenge };
    const { host } = servers.start(() => new Response("", { status: 401, headers }));
    const error = await failure(manifestOf(sourceFor(), `${host}/me/a`));
    expect(error).toMatchObject({
      code: "forbidden",
      message: `${host} asks for a login to read ${host}/me/a:latest, such as Ollama's own key`,
    });
  });

  test.each([
    ["refuses one without a signature", () => new Response("who?", { status: 401 })],
    ["gives one that is not enough", () => Response.json({ token: "t" })],
  ])("a registry that %s wants Ollama's own key", async (_, tokenAnswer) => {
    const server: TlsServer = servers.start((url) => {
      if (url.pathname === "/token") return tokenAnswer();
      const challenge = `Bearer realm="https://${server.host}/token"`;
      return new Response("", { status: 401, headers: { "www-authenticate": challenge } });
    });
    const error = await failure(manifestOf(sourceFor(), `${server.host}/me/a`));
    expect([error.code, error.message]).toEqual(["forbidden", expect.stringContaining("Ollama's own key")]);
    expect(server.requests.length).toBeLessThanOrEqual(3);
  });

  test.each([
    ["too much", `{"token":"${"t".repeat(70_000)}"}`],
    ["another line of a header", '{"token":"t\\r\\nhost: x"}'],
    ["no JSON", "<html>"],
  ])("an answer with %s is no token", async (_, text) => {
    const server: TlsServer = servers.start((url) => {
      if (url.pathname === "/token") return new Response(text);
      const challenge = `Bearer realm="https://${server.host}/token"`;
      return new Response("", { status: 401, headers: { "www-authenticate": challenge } });
    });
    expect(await failure(manifestOf(sourceFor(), `${server.host}/me/a`))).toMatchObject({ code: "unavailable" });
  });
});

describe("redirects of blobs", () => {
  const outside = { addressesOf: async () => ["203.0.114.7"] };

  /** A registry that sends every blob there. */
  function sendingTo(location: (self: string) => string): TlsServer {
    const server: TlsServer = servers.start((url, request) => {
      if (url.pathname === "/token") return Response.json({ token: "t0ken" });
      if (request.headers.get("authorization") !== "Bearer t0ken") {
        const challenge = `Bearer realm="https://${server.host}/token"`;
        return new Response("", { status: 401, headers: { "www-authenticate": challenge } });
      }
      return new Response("", { status: 307, headers: { location: location(server.host) } });
    });
    return server;
  }

  test("another host outside sends the bytes, from the one that is wanted on, and gets no token", async () => {
    const authorizations: (string | null)[] = [];
    const storage = servers.start((_, request) => {
      authorizations.push(request.headers.get("authorization"));
      return served(request);
    });
    const { host } = sendingTo(() => `https://cdn.example/data`);
    const fetch: RegistrySourceOptions["fetch"] = async (url, init) =>
      await servers.fetch(url.replace("cdn.example", storage.host), init);
    expect(await blobOf(sourceFor({ ...outside, fetch }), `${host}/me/a`, 3)).toBe("3456789");
    expect(authorizations).toEqual([null]);
  });

  test.each([
    ["loopback by a name", "https://storage.example/x", ["127.0.0.1"]],
    ["one address inside of several", "https://storage.example/x", ["203.0.114.7", "10.0.0.5"]],
    ["an IPv6 address inside", "https://storage.example/x", ["fd00::1"]],
    ["localhost", "https://localhost:1/x", []],
    ["an address inside", "https://10.1.2.3/x", []],
    ["an address that is written otherwise", "https://0x0a000001/x", []],
    ["metadata of a cloud", "https://169.254.169.254/latest", []],
    ["a mapped address", "https://[::ffff:10.0.0.1]/x", []],
    ["plain HTTP outside", "http://storage.example/x", ["203.0.114.7"]],
    ["a file", "file:///etc/passwd", []],
  ])("%s is refused", async (_, location, addresses) => {
    const server = sendingTo(() => location);
    const asked: string[] = [];
    const fetch: RegistrySourceOptions["fetch"] = async (url, init) => {
      asked.push(new URL(url).host);
      return await servers.fetch(url, init);
    };
    const source = sourceFor({ fetch, addressesOf: async () => addresses });
    const error = await failure(blobOf(source, `${server.host}/me/a`));
    expect(error).toMatchObject({ code: "forbidden", message: expect.stringContaining("redirects to") });
    expect(new Set(asked)).toEqual(new Set([server.host]));
  });

  test("a host inside is asked when the operator has named it, or the registry is there itself", async () => {
    const storage = servers.start((_, request) => served(request));
    const named = sendingTo(() => `https://${storage.byName}/x`);
    const addressesOf = async (): Promise<readonly string[]> => ["127.0.0.1"];
    const source = sourceFor({ allowed: [named.host, storage.byName], addressesOf });
    expect(await blobOf(source, `${named.host}/me/a`)).toBe(BLOB);
    expect(await failure(blobOf(sourceFor({ allowed: [named.host] }), `${named.host}/me/a`))).toMatchObject({
      code: "forbidden",
    });
    const itself = sendingTo(() => `https://${storage.host}/x`);
    expect(await blobOf(sourceFor({ allowed: [itself.host] }), `${itself.host}/me/a`)).toBe(BLOB);
  });

  test("a loop ends", async () => {
    const { host, requests } = sendingTo((self) => `https://${self}/again`);
    expect(await failure(blobOf(sourceFor(), `${host}/me/a`))).toMatchObject({ code: "unavailable" });
    expect(requests.length).toBeLessThanOrEqual(6);
  });
});

describe("registries", () => {
  test("one that is not allowed is not asked", async () => {
    const { host, requests } = servers.start(() => new Response(MANIFEST));
    const source = sourceFor({ allowed: ["registry.example"] });
    for (const reading of [manifestOf(source, `${host}/me/a`), blobOf(source, `${host}/me/a`)]) {
      expect(await failure(reading)).toMatchObject({ code: "forbidden" });
    }
    expect(requests).toEqual([]);
  });

  test("one that sends bytes in time is not taken for silent, however slowly they are used", async () => {
    const { host } = servers.start(() => new Response(BLOB));
    const source = sourceFor({ silenceMs: 100 });
    let text = "";
    for await (const chunk of source.readBlob(parseModelName(`${host}/me/a`), LAYER, 0, signal)) {
      await Bun.sleep(300);
      text += new TextDecoder().decode(chunk);
    }
    expect(text).toBe(BLOB);
  });
});
