// / and the page at /docs, without a browser. tests/browser opens the page in one.
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { docsRoutes } from "#src/server/http/docs/routes.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

const OPEN = { token: null };

test("/ names the description and the page, also as links", async () => {
  await using server = await openServer();
  const { status, headers, body } = await server.call("GET", "/", OPEN);
  expect([status, body]).toEqual([200, { service: "gpu-courier", openapi: "openapi.json", docs: "docs" }]);
  expect(headers.get("link")).toBe('<openapi.json>; rel="service-desc", <docs>; rel="service-doc"');
});

test("/openapi.json has its routes beside itself, also below a path of a proxy", async () => {
  await using server = await openServer();
  const { servers } = (await server.call("GET", "/openapi.json", OPEN)).body;
  for (const base of ["https://example.org/", "https://example.org/gpu/"])
    expect(new URL(servers[0].url, `${base}openapi.json`).href).toBe(base);
});

describe("/docs", () => {
  test("names only addresses of this server, relative ones, and each is served without a token", async () => {
    await using server = await openServer();
    const page = await (await server.request("GET", "/docs", OPEN)).text();
    const addresses = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = ""]) => address);
    const own = addresses.filter((address) => !address.startsWith("data:"));
    expect(own.toSorted()).toEqual(["docs/start.js", "docs/swagger-ui.css", "docs/swagger-ui.js", "openapi.json"]);
    for (const address of own)
      expect([address, (await server.request("GET", `/${address}`, OPEN)).status]).toEqual([address, 200]);
  });

  test("runs only scripts and styles that this server sends", async () => {
    await using server = await openServer();
    for (const path of ["/docs", "/docs/start.js"]) {
      const { headers } = await server.request("GET", path, OPEN);
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toStartWith("default-src 'none'; script-src 'self'; style-src 'self'; ");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
    }
  });

  test("reads a file again after it could not be read", async () => {
    const dir = await mkdtemp(join(tmpdir(), "gpu-courier-docs-"));
    const script = join(dir, "script.js");
    const routes = docsRoutes({ script, style: script });
    expect((await routes.request("/docs/swagger-ui.js")).status).toBe(500);
    await writeFile(script, "there");
    expect(await (await routes.request("/docs/swagger-ui.js")).text()).toBe("there");
    await rm(dir, { recursive: true });
  });

  test("is a 304 for those who have it, and has types that browsers insist on", async () => {
    await using server = await openServer();
    for (const [path, type] of [
      ["/docs", "text/html"],
      ["/docs/swagger-ui.js", "text/javascript"],
      ["/docs/swagger-ui.css", "text/css"],
    ] as const) {
      const first = await server.request("GET", path, OPEN);
      expect(first.headers.get("content-type")).toStartWith(type);
      const headers = { "if-none-match": first.headers.get("etag") ?? "" };
      expect((await server.request("GET", path, { ...OPEN, headers })).status).toBe(304);
    }
  });
});
