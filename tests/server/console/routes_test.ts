// The console's page and its files, without a browser. tests/browser opens the page in one.
import { describe, expect, test } from "bun:test";
import { createApi } from "#src/server/api.ts";
import { bundleConsole } from "#src/server/console/bundle.ts";
import { consoleRoutes } from "#src/server/console/routes.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

const BROWSER = { token: null, headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8" } };
/** Of the script, the style sheet and the icon, as they are sent: what a first visit costs. */
const MOST_COMPRESSED_BYTES = 100_000;

describe("GET / for a browser", () => {
  test("is the page, with only relative addresses of this server, and each is served without a token", async () => {
    await using server = await openServer();
    const response = await server.request("GET", "/", BROWSER);
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const page = await response.text();
    expect(page).toContain("<title>gpu-courier</title>");
    expect(page).not.toMatch(/<(?:script|style)[^>]*>[^<]|\sstyle=|\son\w+=/);
    const addresses = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = ""]) => address);
    expect(addresses.map((address) => address.replace(/-[a-z0-9]+\./, "."))).toEqual([
      "assets/icon.svg",
      "assets/console.css",
      "assets/console.js",
      "docs",
    ]);
    for (const address of addresses)
      expect([address, (await server.request("GET", `/${address}`, BROWSER)).status]).toEqual([address, 200]);
  });

  test("lets the page run and load only what this server sends", async () => {
    await using server = await openServer();
    const { headers } = await server.request("GET", "/", BROWSER);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toStartWith("default-src 'self'; ");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("cache-control")).toBe("no-cache");
    expect(headers.get("vary")).toContain("Accept");
    const again = { token: null, headers: { ...BROWSER.headers, "if-none-match": headers.get("etag") ?? "" } };
    expect((await server.request("GET", "/", again)).status).toBe(304);
  });
});

test("GET / for a program has the addresses of the API, as before", async () => {
  await using server = await openServer();
  for (const accept of ["*/*", "application/json"]) {
    const { body, headers } = await server.call("GET", "/", { token: null, headers: { accept } });
    expect(body).toEqual({ service: "gpu-courier", openapi: "openapi.json", docs: "docs" });
    expect(headers.get("vary")).toContain("Accept");
  }
});

test("a file of the page may be kept for a year, because another content has another name", async () => {
  await using server = await openServer();
  const files = await bundleConsole();
  for (const { name } of files) {
    const { headers, status } = await server.request("GET", `/assets/${name}`, BROWSER);
    expect([status, headers.get("cache-control")]).toEqual([200, "public, max-age=31536000, immutable"]);
  }
  expect((await server.call("GET", "/assets/other.js", BROWSER)).body).toMatchObject({ status: 404 });
});

test("the page costs a first visit less than 100 kB", async () => {
  const files = await bundleConsole();
  const sizes = files.map(({ name, text }) => ({ name, bytes: Bun.gzipSync(text).byteLength }));
  process.stderr.write(sizes.map(({ name, bytes }) => `${name}: ${bytes} B compressed\n`).join(""));
  expect(sizes.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(MOST_COMPRESSED_BYTES);
});

test("without the console a browser gets what a program gets, and the trusted listener never has it", async () => {
  await using server = await openServer();
  const without = createApi({ ...server.services, sessions: null });
  expect((await without.request("/", { headers: BROWSER.headers })).headers.get("content-type")).toContain("json");
  expect((await server.callTrusted("GET", "/", { headers: { accept: "text/html" } })).status).toBe(404);
});

test("the files are read again after they could not be read", async () => {
  let count = 0;
  const routes = consoleRoutes(async () => {
    count += 1;
    if (count === 1) throw new Error("not yet");
    return await Promise.resolve([{ name: "console-1.js", text: "there" }]);
  });
  expect((await routes.request("/assets/console-1.js")).status).toBe(500);
  expect(await (await routes.request("/assets/console-1.js")).text()).toBe("there");
});
