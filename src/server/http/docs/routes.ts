// /docs: a page that shows /openapi.json, and / with the addresses of both. It needs no network beyond this server.
import { type Context, Hono } from "hono";
import { type Rendered, renderedText, respondUnlessKept } from "../../fleet/lists/rendered.ts";
import type { Env } from "../env.ts";
import { SWAGGER_UI } from "./swagger_ui.ts";

/** Only what this server sends, no code in the page, and no place in a page of others. Swagger UI has images as data. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Relative addresses: a proxy may serve all of this under a path of its own. */
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>gpu-courier API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="page"><noscript>This page needs JavaScript. The description itself is <a href="openapi.json">openapi.json</a>.</noscript></div>
<script src="docs/swagger-ui.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;

/** A token that is typed in is kept in the page only. */
const START = `SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
});
`;

interface File {
  readonly type: string;
  readonly read: () => Promise<string>;
}

function filesOf({ script, style }: typeof SWAGGER_UI): Readonly<Record<string, File>> {
  return {
    "/docs": { type: "text/html; charset=utf-8", read: async () => await Promise.resolve(PAGE) },
    "/docs/start.js": { type: "text/javascript; charset=utf-8", read: async () => await Promise.resolve(START) },
    "/docs/swagger-ui.js": { type: "text/javascript; charset=utf-8", read: async () => await Bun.file(script).text() },
    "/docs/swagger-ui.css": { type: "text/css; charset=utf-8", read: async () => await Bun.file(style).text() },
  };
}

const WHERE = { openapi: "openapi.json", docs: "docs" };

/** @param ui the paths of the files of Swagger UI */
export function docsRoutes(ui = SWAGGER_UI): Hono<Env> {
  const routes = new Hono<Env>();
  /** RFC 8631 has names for both links. */
  routes.get("/", (context) => {
    context.header("link", `<${WHERE.openapi}>; rel="service-desc", <${WHERE.docs}>; rel="service-doc"`);
    return context.json({ service: "gpu-courier", ...WHERE });
  });
  for (const [path, file] of Object.entries(filesOf(ui))) routes.get(path, keptFile(file));
  return routes;
}

/** Reads the file once, when somebody asks for it; again after a failure. */
function keptFile({ type, read }: File) {
  let reading: Promise<Omit<Rendered, "next">> | undefined;
  return async (context: Context<Env>): Promise<Response> => {
    reading ??= read()
      .then(renderedText)
      .catch((error: unknown) => {
        reading = undefined;
        throw error;
      });
    const rendered = await reading;
    context.header("content-security-policy", POLICY);
    context.header("x-content-type-options", "nosniff");
    context.header("referrer-policy", "no-referrer");
    return respondUnlessKept(context, rendered, type, "no-cache");
  };
}
