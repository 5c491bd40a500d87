// Compressed responses: for whom, of what, and with which headers.
import { describe, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { createApi } from "#src/server/api.ts";
import { listen } from "#src/server/http/listen.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

const GZIP = { headers: { "accept-encoding": "br, gzip" } };
const PLAIN = { headers: { "accept-encoding": "gzip;q=0, identity" } };

async function openFleet(): Promise<ServerUnderTest> {
  const server = await openServer();
  const models = Array.from({ length: 40 }, (_, number) => modelOf(`model-${number}:latest`));
  await ScriptedAgent.open(server.store, "gpu-1", { models });
  return server;
}

describe("compressResponse", () => {
  test.each(["/v1/models", "/api/config/models", "/api/models", "/openapi.json", "/docs/swagger-ui.js"])(
    "sends %s with gzip to those who accept it, and the same bytes to others",
    async (path) => {
      await using server = await openFleet();
      const [zipped, plain] = [await server.request("GET", path, GZIP), await server.request("GET", path, PLAIN)];
      expect([zipped.headers.get("content-encoding"), plain.headers.get("content-encoding")]).toEqual(["gzip", null]);
      for (const { headers } of [zipped, plain]) expect(headers.get("vary")).toContain("Accept-Encoding");
      const [packed, text] = [await zipped.bytes(), await plain.text()];
      expect(gunzipSync(packed).toString("utf8")).toBe(text);
      expect(packed.byteLength).toBeLessThan(text.length / 2);
    },
  );

  test("gives HEAD the length of the compressed response to GET, over a socket", async () => {
    await using server = await openFleet();
    const listener = listen({ host: "127.0.0.1", port: 0 }, createApi(server.services).fetch, 1000);
    const headers = { authorization: `Bearer ${server.gp}`, ...GZIP.headers };
    for (const path of ["/v1/models", "/openapi.json"]) {
      const head = await fetch(`${listener.url}${path}`, { method: "HEAD", headers });
      const get = await fetch(`${listener.url}${path}`, { headers, decompress: false });
      expect(head.headers.get("content-encoding")).toBe("gzip");
      expect(head.headers.get("content-length")).toBe(String((await get.bytes()).byteLength));
    }
    await listener.close(0);
  });

  test.each(["/v1/models", "/openapi.json", "/docs", "/docs/swagger-ui.js"])(
    "names the same headers in Vary for a 304 of %s as for the response that is kept",
    async (path) => {
      await using server = await openFleet();
      const { headers: first } = await server.request("GET", path, GZIP);
      const headers = { ...GZIP.headers, "if-none-match": first.get("etag") ?? "" };
      const kept = await server.request("GET", path, { headers });
      expect([kept.status, kept.headers.get("vary")]).toEqual([304, first.get("vary")]);
    },
  );

  test("leaves small responses, event streams and those without a body alone", async () => {
    await using server = await openFleet();
    const etag = (await server.request("GET", "/v1/models")).headers.get("etag") ?? "";
    const kept = await server.request("GET", "/v1/models", { headers: { ...GZIP.headers, "if-none-match": etag } });
    const small = await server.request("GET", "/healthz", GZIP);
    const stream = await server.request("GET", "/v1/events", GZIP);
    expect([kept.status, small.status, stream.status]).toEqual([304, 200, 200]);
    for (const { headers } of [kept, small, stream]) expect(headers.get("content-encoding")).toBeNull();
    await stream.body?.cancel();
  });
});
