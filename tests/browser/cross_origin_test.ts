// A web page of another origin in a real browser: with --cors-origin it lists, pulls and follows; without it, it cannot.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";
import { cachedBinary } from "../../scripts/binaries.ts";
import { openBrowser, PageServer } from "./site/browser.ts";

const PHI = { name: "phi4:latest", layers: [200_000, 1000] };
const TINY = { name: "tiny:latest", layers: [3_000_000, 500] };

let site: ProcessSite;
let browser: Browser;
let pages: PageServer;
let program: string;

beforeAll(async () => {
  [program, browser] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
  pages = new PageServer();
  site = new ProcessSite();
  const ollama = await site.ollama({ catalog: [PHI, TINY], installed: [PHI], bytesPerSecond: 3_000_000 });
  await site.agent("gpu-1", ollama.url);
});
afterAll(async () => {
  await browser.close();
  pages[Symbol.dispose]();
  await site.close();
});

async function serve(args: readonly string[]): Promise<HttpServer> {
  const server = await site.server(args, program);
  await until(async () => {
    const { answer } = await server.call("GET", "/v1/models");
    return JSON.stringify(answer).includes("phi4");
  }, "the server sees the agent's models");
  return server;
}

async function openPage(server: HttpServer, role: "gp" | "viewer" = "gp"): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(pages.origin);
  await page.evaluate(`setUp("${server.url}", "${server.tokens[role]}")`);
  return page;
}

async function inPage(page: Page, code: string): Promise<Record<string, unknown>> {
  const result: unknown = await page.evaluate(code);
  return Object(result);
}

test("a page of an origin that --cors-origin names lists, pulls and follows", async () => {
  const server = await serve(["--cors-origin", `https://first.example,${pages.origin}`]);
  const page = await openPage(server);
  const listed = await inPage(page, 'ask("GET", "/v1/models")');
  expect(listed).toMatchObject({ status: 200, body: { models: [{ name: "phi4:latest", agents: ["gpu-1"] }] } });
  expect(listed["shown"]).toEqual(["etag", "x-request-id"]);
  const ticket = await inPage(page, 'ask("POST", "/v1/tickets")');
  expect(ticket["status"]).toBe(201);
  const path = `/v1/events?ticket=${String(Object(ticket["body"]).ticket)}`;
  const following = page.evaluate(`follow("${path}", "tiny:latest")`);
  const pull = { kind: "pull", model: "tiny", agents: ["gpu-1"] };
  expect(await inPage(page, `ask("POST", "/v1/jobs", ${JSON.stringify(pull)})`)).toMatchObject({ status: 202 });
  const seen: unknown = await following;
  expect(seen).toEqual(expect.arrayContaining(["ready", "progress running", "ended succeeded"]));
  expect(Array.isArray(seen) && seen.at(-1)).toBe("ended succeeded");
  expect(server.process.log).toContain('"pull_model"');
  // The page sees why something failed, too.
  expect(await inPage(page, 'ask("GET", "/v1/agents/gpu-9")')).toMatchObject({
    status: 404,
    body: { code: "not_found" },
  });
  expect(await inPage(page, 'ask("DELETE", "/v1/agents/gpu-1/models/tiny")')).toMatchObject({ status: 200 });
  await page.evaluate(`setUp("${server.url}", "wrong")`);
  expect(await inPage(page, 'ask("GET", "/v1/models")')).toMatchObject({ status: 401, body: { status: 401 } });
  expect(await page.evaluate('follow("/v1/events?ticket=wrong", "tiny:latest")')).toBe("closed");
});

test.each([
  ["without --cors-origin", []],
  ["with another origin", ["--cors-origin", "https://first.example"]],
])("a page of another origin can do none of it %s", async (_, args) => {
  const server = await serve(args);
  const page = await openPage(server);
  const pull = JSON.stringify({ kind: "pull", model: "tiny", agents: ["gpu-1"] });
  for (const request of ['"GET", "/v1/models"', `"POST", "/v1/jobs", ${pull}`, '"POST", "/v1/tickets"'])
    expect(await page.evaluate(`tryTo(${request})`)).toBe("TypeError");
  const { answer } = await server.call("POST", "/v1/tickets");
  expect(await page.evaluate(`follow("/v1/events?ticket=${String(answer["ticket"])}", "tiny:latest")`)).toBe("closed");
  // The browser did not send the pull: its preflight request was not answered as it needs.
  expect(server.process.log).not.toContain('"pull_model"');
});

test("a page cannot use the listener without tokens, whatever --cors-origin says", async () => {
  const server = await serve(["--cors-origin", pages.origin, "--trusted-listen", "127.0.0.1:0"]);
  const url = /"url":"(http:[^"]+)","msg":"Listening without tokens"/.exec(server.process.log)?.[1];
  expect(url).toBeDefined();
  const page = await openPage(server);
  await page.evaluate(`setUp("${url ?? ""}", "")`);
  expect(await page.evaluate('tryTo("GET", "/api/models")')).toBe("TypeError");
  const blind = `fetch("${url ?? ""}/api/models/tiny", { method: "POST", mode: "no-cors" }).then(() => "sent")`;
  expect(await page.evaluate(blind)).toBe("sent");
  expect(server.process.log).not.toContain('"pull_model"');
});
