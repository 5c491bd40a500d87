// The console: the page at / for browsers, and its files under /assets/, which never change under their names.
import { type Context, Hono } from "hono";
import { accepts } from "hono/accepts";
import { type Rendered, renderedText, respondUnlessKept } from "../fleet/lists/rendered.ts";
import type { Env } from "../http/env.ts";
import { addVary } from "../http/responses.ts";
import type { ConsoleFile } from "./bundle.ts";
import { consoleFiles } from "./files.ts";
import { PAGE_HEADERS, pageText } from "./page.ts";

const HTML = "text/html; charset=utf-8";
const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

type Content = Omit<Rendered, "next">;

interface Site {
  readonly page: Content;
  readonly assets: ReadonlyMap<string, Content>;
}

/** @param readFiles the files of the page; read once, when somebody asks for it, and again after a failure */
export function consoleRoutes(readFiles: () => Promise<readonly ConsoleFile[]> = consoleFiles): Hono<Env> {
  const routes = new Hono<Env>();
  let reading: Promise<Site> | undefined;
  const site = async (): Promise<Site> => {
    reading ??= readFiles()
      .then(siteOf)
      .catch((error: unknown) => {
        reading = undefined;
        throw error;
      });
    return await reading;
  };
  routes.get("/", async (context, next) => {
    const response = wantsPage(context)
      ? respondUnlessKept(withHeaders(context), (await site()).page, HTML, "no-cache")
      : await next().then(() => context.res);
    addVary(response.headers, "Accept");
    return response;
  });
  routes.get("/assets/:name", async (context) => {
    const name = context.req.param("name");
    const asset = (await site()).assets.get(name);
    if (asset === undefined) return await context.notFound();
    const type = TYPES[name.replace(/^.*\./, "")] ?? "application/octet-stream";
    return respondUnlessKept(withHeaders(context), asset, type, "public, max-age=31536000, immutable");
  });
  return routes;
}

function siteOf(files: readonly ConsoleFile[]): Site {
  const assets = new Map(files.map(({ name, text }) => [name, renderedText(text)]));
  return { page: renderedText(pageText(files)), assets };
}

/** A browser asks for HTML; a program that does not gets the addresses of the API, as before there was a page. */
function wantsPage(context: Context<Env>): boolean {
  const supports = ["application/json", "text/html"];
  return accepts(context, { header: "Accept", supports, default: "application/json" }) === "text/html";
}

function withHeaders(context: Context<Env>): Context<Env> {
  for (const [name, value] of Object.entries(PAGE_HEADERS)) context.header(name, value);
  return context;
}
