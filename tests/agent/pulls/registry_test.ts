// Reading a manifest from registries of every kind: honest, guarded, slow, redirecting, hostile.
import { afterEach, describe, expect, test } from "bun:test";
import { AllowedRegistries } from "#src/program/registry/allowed_registries.ts";
import { MAX_MANIFEST_BYTES, parseManifest } from "#src/program/registry/manifest.ts";
import { Registry } from "#src/program/registry/registry.ts";
import { digestOf } from "#tests/support/disk/models_fixture.ts";
import { failure } from "#tests/support/failure.ts";

const A = `sha256:${"a".repeat(64)}`;
const B = `sha256:${"b".repeat(64)}`;
const MANIFEST = JSON.stringify({ config: { digest: B, size: 500 }, layers: [{ digest: A, size: 9_000 }] });

type Answer = (request: Request, url: URL) => Response | Promise<Response>;
/** Bun forgets a request's headers once it is answered. */
interface Asked {
  readonly line: string;
  readonly accept: string | null;
  readonly authorization: string | null;
}

const servers: Bun.Server<undefined>[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true);
});

/** A registry without TLS. @returns its `host:port`, and what it was asked */
function serve(answer: Answer): { readonly host: string; readonly requests: Asked[] } {
  const requests: Asked[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: async (request) => {
      const url = new URL(request.url);
      const headers = { accept: request.headers.get("accept"), authorization: request.headers.get("authorization") };
      requests.push({ line: `${request.method} ${url.pathname}${url.search}`, ...headers });
      return await answer(request, url);
    },
  });
  servers.push(server);
  return { host: `127.0.0.1:${server.port}`, requests };
}

function reader(...hosts: readonly string[]): Registry {
  return new Registry({ registries: insecure(hosts), timeoutMs: 2_000 });
}

function insecure(hosts: readonly string[]): AllowedRegistries {
  return new AllowedRegistries({ agent: "gpu-1", allowed: [], insecure: hosts });
}

describe("readManifest()", () => {
  test("asks for what the name says, and adds up the blobs", async () => {
    const { host, requests } = serve(() => new Response(MANIFEST));
    const manifest = await reader(host).readManifest(`${host}/me/phi5:14b`);
    expect(manifest.totalBytes).toBe(9_500);
    expect(manifest.layers).toEqual([
      { digest: A, bytes: 9_000 },
      { digest: B, bytes: 500 },
    ]);
    expect(requests).toEqual([
      {
        line: "GET /v2/me/phi5/manifests/14b",
        accept: "application/vnd.docker.distribution.manifest.v2+json",
        authorization: null,
      },
    ]);
  });

  test("gets a token for anybody where the registry wants one", async () => {
    const { host, requests } = serve((request, url) => {
      if (url.pathname === "/token") return Response.json({ token: "t0ken" });
      if (request.headers.get("authorization") === "Bearer t0ken") return new Response(MANIFEST);
      const challenge = `Bearer realm="http://${url.host}/token",service="s",scope="repository:me/a:pull"`;
      return new Response("", { status: 401, headers: { "www-authenticate": challenge } });
    });
    expect((await reader(host).readManifest(`${host}/me/a`)).totalBytes).toBe(9_500);
    expect(requests[1]?.line).toBe("GET /token?service=s&scope=repository%3Ame%2Fa%3Apull");
  });

  test("asks no other host for a token, and gives up when the token is not enough", async () => {
    const other = serve(() => Response.json({ token: "t0ken" }));
    let realm = `http://${other.host}/token`;
    const { host, requests } = serve((_, url) => {
      if (url.pathname === "/token") return Response.json({ access_token: "t0ken" });
      return new Response("", { status: 401, headers: { "www-authenticate": `Bearer realm="${realm}"` } });
    });
    const registry = reader(host, other.host);
    expect(await failure(registry.readManifest(`${host}/me/a`))).toMatchObject({ code: "forbidden" });
    expect(other.requests).toEqual([]);
    realm = `http://${host}/token`;
    expect(await failure(registry.readManifest(`${host}/me/a`))).toMatchObject({
      code: "forbidden",
      message: `${host} has no such model, or asks for a login`,
    });
    expect(requests.length).toBe(4);
  });

  test("follows redirects without taking the token along, never to plain HTTP that is not allowed, and not forever", async () => {
    const storage = serve(() => new Response(MANIFEST));
    let target = `http://${storage.host}/there`;
    const { host } = serve((request, url) => {
      if (url.pathname === "/token") return Response.json({ token: "t0ken" });
      if (request.headers.has("authorization")) return new Response("", { status: 307, headers: { location: target } });
      const challenge = `Bearer realm="http://${url.host}/token"`;
      return new Response("", { status: 401, headers: { "www-authenticate": challenge } });
    });
    expect((await reader(host, storage.host).readManifest(`${host}/me/a`)).totalBytes).toBe(9_500);
    expect(storage.requests.map(({ authorization }) => authorization)).toEqual([null]);
    expect(await failure(reader(host).readManifest(`${host}/me/a`))).toMatchObject({ code: "forbidden" });
    target = `http://${host}/again`;
    expect(await failure(reader(host).readManifest(`${host}/me/a`))).toMatchObject({ code: "unavailable" });
    target = "file:///etc/passwd";
    expect(await failure(reader(host).readManifest(`${host}/me/a`))).toMatchObject({ code: "forbidden" });
    expect(storage.requests.length).toBe(1);
  });

  test("insists on TLS at a registry that is not listed", async () => {
    const { host, requests } = serve(() => new Response(MANIFEST));
    const error = await failure(reader().readManifest(`${host}/me/a`));
    expect(error.code).toBe("unavailable");
    expect(error.message).toBe(`${host} does not speak TLS on that port`);
    expect(requests).toEqual([]);
  });

  test.each([
    [404, "not_found"],
    [410, "not_found"],
    [403, "forbidden"],
    [429, "unavailable"],
    [500, "unavailable"],
  ] as const)("maps status %d to a code, without the text that came with it", async (status, code) => {
    const { host } = serve(() => Response.json({ error: "internal secret" }, { status }));
    const error = await failure(reader(host).readManifest(`${host}/me/a`));
    expect(error.code).toBe(code);
    expect(error.message).not.toContain("secret");
  });

  test("names the model that the registry does not have, without its host twice", async () => {
    const { host } = serve(() => new Response("no", { status: 404 }));
    const error = await failure(reader(host).readManifest(`${host}/f/nope2:latest`));
    expect(error.message).toBe(`${host} has no model f/nope2:latest`);
  });

  test.each([
    ["hides a model from anybody without a login", "/v2/me/a/manifests/latest"],
    ["has lost its token service", "/token"],
  ])("does not take a registry that %s for one without the model", async (_what, missingPath) => {
    const { host } = serve((request, url) => {
      const isAllowed = request.headers.get("authorization") !== null || url.pathname === "/token";
      const challenge = `Bearer realm="http://${url.host}/token"`;
      if (!isAllowed) return new Response("", { status: 401, headers: { "www-authenticate": challenge } });
      if (url.pathname === missingPath) return new Response("no", { status: 404 });
      return Response.json({ token: "t0ken" });
    });
    expect(await failure(reader(host).readManifest(`${host}/me/a`))).toMatchObject({ code: "forbidden" });
  });

  test("gives up on a registry that does not answer, or never ends", async () => {
    const endless = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array([123])),
    });
    for (const answer of [() => new Promise<Response>(() => undefined), () => new Response(endless)]) {
      const { host } = serve(answer);
      const registry = new Registry({ registries: insecure([host]), timeoutMs: 100 });
      expect(await failure(registry.readManifest(`${host}/me/a`))).toMatchObject({
        code: "unavailable",
        message: `${host} did not answer within 0.1 s`,
      });
    }
  });

  test("takes no more than a manifest has", async () => {
    const { host } = serve(() => new Response(`${MANIFEST}${" ".repeat(MAX_MANIFEST_BYTES)}`));
    const error = await failure(reader(host).readManifest(`${host}/me/a`));
    expect(error.message).toBe(`${host} sends more than ${MAX_MANIFEST_BYTES} bytes`);
  });

  test("refuses what is no address", async () => {
    const error = await failure(reader().readManifest("host:port:x/me/a"));
    expect(error).toMatchObject({ code: "invalid" });
  });
});

describe("parseManifest()", () => {
  test("counts a blob once, whatever its spelling, and takes a model without configuration", () => {
    const layers = [
      { digest: A, size: 5 },
      { digest: A.replace(":", "-"), size: 5 },
    ];
    for (const manifest of [{ layers }, { layers, config: { digest: "", size: 0 } }]) {
      const text = JSON.stringify(manifest);
      const digest = new Bun.CryptoHasher("sha256").update(text).digest("hex");
      expect(parseManifest(text)).toEqual({ digest, layers: [{ digest: A, bytes: 5 }], totalBytes: 5 });
    }
  });

  test("counts as weights what Ollama loads, each blob once", () => {
    const layer = (type: string, digit: string, size: number) => ({
      mediaType: `application/vnd.ollama.image.${type}`,
      digest: digestOf(digit),
      size,
    });
    const loaded = [layer("model", "1", 900), layer("projector", "2", 80), layer("adapter", "3", 7)];
    const others = [
      layer("model", "1", 900),
      layer("license", "4", 50),
      { digest: digestOf("5"), size: 3, mediaType: 7 },
    ];
    const weights = (layers: readonly unknown[]) => parseManifest(JSON.stringify({ layers }))?.weightsBytes;
    expect(weights([...loaded, ...others])).toBe(987);
    expect(weights([layer("tensor", "1", 4), layer("tensor", "2", 6)])).toBe(10);
    expect(weights([layer("license", "4", 50)])).toBeUndefined();
  });

  test.each([
    ["nothing", ""],
    ["a list", "[]"],
    ["an index of images", '{"manifests":[]}'],
    ["a digest that is a path", JSON.stringify({ layers: [{ digest: "sha256:../../etc/passwd", size: 1 }] })],
    ["a negative size", JSON.stringify({ layers: [{ digest: A, size: -1 }] })],
    ["a size that no disk has", JSON.stringify({ layers: [{ digest: A, size: 1e300 }] })],
    ["a size that is a text", JSON.stringify({ layers: [{ digest: A, size: "1" }] })],
    ["a blob larger than any disk", JSON.stringify({ layers: [{ digest: A, size: 2 ** 50 + 1 }] })],
    ["too many blobs", JSON.stringify({ layers: Array.from({ length: 20_001 }, () => ({ digest: A, size: 1 })) })],
  ])("refuses %s", (_, text) => {
    expect(parseManifest(text)).toBeNull();
  });
});
