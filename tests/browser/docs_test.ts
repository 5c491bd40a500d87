// The page at /docs of the compiled gpu-server, in a real browser.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser } from "playwright-core";
import { type HttpServer, ProcessSite } from "#tests/process/site/site.ts";
import { cachedBinary } from "../../scripts/binaries.ts";
import { openBrowser, Watched } from "./site/browser.ts";

let site: ProcessSite;
let browser: Browser;
let server: HttpServer;

beforeAll(async () => {
  const [program, opened] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
  browser = opened;
  site = new ProcessSite();
  server = await site.server(["--init"], program);
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

test("/docs shows every route, asks nobody else, and breaks no rule of its policy", async () => {
  const page = await browser.newPage();
  const watched = await Watched.over(page);
  await page.goto(`${server.url}/docs`);
  const operations = page.locator(".opblock");
  await operations.first().waitFor();
  const document = await server.call("GET", "/openapi.json", undefined, null);
  // What the server posts to others is shown in the same way.
  const described = ["paths", "webhooks"].flatMap((part) => Object.values(Object(document.answer[part])));
  const routes = described.flatMap((path) => Object.keys(Object(path)));
  expect(routes.length).toBeGreaterThan(15);
  expect(await operations.count()).toBe(routes.length);
  await operations.locator("button.opblock-summary-control").nth(0).click();
  await page.locator(".opblock-body").first().waitFor();
  expect(watched.outside(server.url)).toEqual([]);
  expect(watched.problems).toEqual([]);
});

test("/docs below a path of a proxy sends its requests below that path", async () => {
  using proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url);
      if (!pathname.startsWith("/gpu/")) return new Response(null, { status: 404 });
      const { authorization } = Object.fromEntries(request.headers);
      const headers = authorization === undefined ? {} : { authorization };
      return await fetch(`${server.url}${pathname.slice("/gpu".length)}${search}`, { headers, decompress: false });
    },
  });
  const page = await browser.newPage();
  await page.goto(new URL("/gpu/docs", proxy.url).href);
  const health = page.locator(".opblock-get").filter({ has: page.locator('[data-path="/healthz"]') });
  await health.locator("button.opblock-summary-control").click();
  await health.locator(".try-out__btn").click();
  const [response] = await Promise.all([
    page.waitForResponse((each) => each.url().endsWith("/healthz")),
    health.locator("button.execute").click(),
  ]);
  expect([new URL(response.url()).pathname, response.status()]).toEqual(["/gpu/healthz", 200]);
});

test("/docs sends a request with the token that is typed in, and forgets the token with the page", async () => {
  const page = await browser.newPage();
  const watched = await Watched.over(page);
  await page.goto(`${server.url}/docs`);
  await page.locator("button.authorize").first().click();
  await page.locator(".auth-container input").first().fill(server.tokens.viewer);
  await page.locator(".auth-btn-wrapper button.authorize").click();
  await page.locator(".auth-btn-wrapper .btn-done").click();
  const agents = page.locator(".opblock-get").filter({ has: page.locator('[data-path="/v1/agents"]') });
  await agents.locator("button.opblock-summary-control").click();
  await agents.locator(".try-out__btn").click();
  const [response] = await Promise.all([
    page.waitForResponse((each) => each.url().startsWith(`${server.url}/v1/agents`)),
    agents.locator("button.execute").click(),
  ]);
  expect(response.status()).toBe(200);
  expect(await page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")).toBe('[{},{},""]');
  expect(watched.problems).toEqual([]);
});
