// Sessions of the compiled gpu-server in a real browser: what its own pages may do, and that other pages may not.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser, BrowserContext, Request } from "playwright-core";
import { TlsServers } from "#tests/agent/pulls/tls_servers.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";
import { cachedBinary } from "../../scripts/binaries.ts";
import { openBrowser, PageServer } from "./site/browser.ts";

/** A page of gpu-server with nothing in it. */
const OWN_PAGE = "/healthz";

let site: ProcessSite;
let browser: Browser;
let program: string;
let pages: PageServer;

beforeAll(async () => {
  [program, browser] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
  site = new ProcessSite();
  pages = new PageServer();
});
afterAll(async () => {
  await browser.close();
  pages[Symbol.dispose]();
  await site.close();
});

/** Signs in from a page of the server, which stays open in the context. */
async function signedIn(
  url: string,
  token: string,
): Promise<{ context: BrowserContext; ask: (code: string) => Promise<unknown> }> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.goto(`${url}${OWN_PAGE}`);
  const headers = { "content-type": "application/json" };
  const init = JSON.stringify({ method: "POST", headers, body: JSON.stringify({ token }) });
  expect(await page.evaluate(`fetch("/v1/session", ${init}).then(({ status }) => status)`)).toBe(200);
  return { context, ask: async (code) => await page.evaluate(code) };
}

const statusOf = (method: string, path: string): string =>
  `fetch("${path}", { method: "${method}" }).then(({ status }) => status)`;
const streamState = (path: string): string =>
  `new Promise((resolve) => {
    const events = new EventSource("${path}");
    events.addEventListener("ready", () => resolve("ready"));
    events.onerror = () => events.readyState === EventSource.CLOSED && resolve("closed");
  })`;

/** Its entries of requests: the tokens were added on the machine. */
async function audited(server: HttpServer): Promise<unknown[]> {
  const { entries } = (await server.call("GET", "/v1/audit")).answer;
  return Array.isArray(entries) ? entries.filter(({ way }) => way !== "local") : [];
}

test("a page of the server reads, changes and follows with the cookie, which no script sees, until it signs out", async () => {
  const server = await site.server(["--init"], program);
  const { context, ask } = await signedIn(server.url, server.tokens.gp);
  expect(await ask("document.cookie")).toBe("");
  expect(await ask(statusOf("GET", "/v1/agents"))).toBe(200);
  expect(await ask(statusOf("DELETE", "/v1/agents/gpu-9/models/phi4"))).toBe(404);
  expect(await ask(streamState("/v1/events"))).toBe("ready");
  expect(await audited(server)).toMatchObject([{ request: "DELETE /v1/agents/gpu-9/models/phi4", who: "gp" }]);
  expect(await ask(statusOf("DELETE", "/v1/session"))).toBe(204);
  expect(await ask(statusOf("GET", "/v1/agents"))).toBe(401);
  await context.close();
});

test("a page on another port of the host gets nothing done, although the browser sends the cookie there", async () => {
  const server = await site.server(["--init", "--cors-origin", pages.origin], program);
  const { context, ask } = await signedIn(server.url, server.tokens.gp);
  const page = await context.newPage();
  await page.goto(pages.origin);
  const sent: Request[] = [];
  context.on("request", (request) => void (request.url().startsWith(server.url) && sent.push(request)));
  const path = "/v1/agents/gpu-9/models/phi4";
  for (const code of [
    `fetch("${server.url}/v1/jobs", { method: "POST", mode: "no-cors", credentials: "include", body: "{}" })`,
    `fetch("${server.url}${path}/unload", { method: "POST", credentials: "include" })`,
    `fetch("${server.url}/v1/session", { method: "DELETE", credentials: "include" })`,
    `new Promise((resolve) => { const image = new Image(); image.onerror = resolve; image.src = "${server.url}/v1/agents"; })`,
    `new Promise((resolve) => { const events = new EventSource("${server.url}/v1/events", { withCredentials: true }); events.onerror = resolve; })`,
  ])
    await page.evaluate(`Promise.resolve(${code}).then(() => 0, () => 0)`);
  await page.evaluate(`(() => {
    const form = document.createElement("form");
    Object.assign(form, { method: "POST", action: "${server.url}${path}/unload", target: "_blank" });
    document.body.append(form);
    form.submit();
  })()`);
  await until(async () => sent.length >= 6, "all are sent");
  const statuses = await Promise.all(sent.map(async (request) => (await request.response())?.status()));
  expect(statuses.filter((status) => status !== undefined && status !== 401 && status !== 204)).toEqual([]);
  // The browser did send the cookie: the first refusal of an address names its reason.
  expect(server.process.log).toContain('"A session counts only for the pages of gpu-server itself"');
  expect(await audited(server)).toEqual([]);
  expect(await ask(statusOf("GET", "/v1/session"))).toBe(200);
  await context.close();
});

test("behind TLS the cookie is bound to the host, and events arrive", async () => {
  const { pem } = new TlsServers();
  let target = "";
  using proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { key: pem, cert: pem },
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url);
      const headers = new Headers(request.headers);
      headers.set("x-forwarded-for", "203.0.113.7");
      headers.delete("host");
      const { method } = request;
      const body = method === "GET" ? null : await request.arrayBuffer();
      return await fetch(`${target}${pathname}${search}`, { method, headers, body, decompress: false });
    },
  });
  const publicUrl = `https://localhost:${proxy.port}`;
  const server = await site.server(["--init", "--public-url", publicUrl, "--trusted-proxy", "127.0.0.1"], program);
  target = server.url;
  const { context, ask } = await signedIn(publicUrl, server.tokens.viewer);
  expect(await context.cookies()).toMatchObject([
    { name: "__Host-gpu-courier", httpOnly: true, secure: true, sameSite: "Strict", path: "/", domain: "localhost" },
  ]);
  expect(await ask(streamState("/v1/events"))).toBe("ready");
  expect(await ask(statusOf("POST", "/v1/agents/gpu-9/models/phi4/unload"))).toBe(403);
  expect(await audited(server)).toMatchObject([{ who: "viewer", peer: "203.0.113.7", outcome: "forbidden" }]);
  await context.close();
});
