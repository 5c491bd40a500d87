// The console's page itself, and the rules for what a browser may do in it.
import type { ConsoleFile } from "./bundle.ts";

/** Only what this server sends, and nothing that text could turn into code. */
const POLICY = [
  "default-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** Relative addresses: a proxy may serve all of this under a path of its own. */
export function pageText(files: readonly ConsoleFile[]): string {
  const addressOf = (ending: string): string =>
    `assets/${files.find(({ name }) => name.endsWith(ending))?.name ?? `missing${ending}`}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>gpu-courier</title>
<link rel="icon" type="image/svg+xml" href="${addressOf(".svg")}">
<link rel="stylesheet" href="${addressOf(".css")}">
<script type="module" src="${addressOf(".js")}"></script>
</head>
<body>
<div id="console"></div>
<noscript>The console needs JavaScript. Use the <a href="docs">API</a> or gpuctl instead.</noscript>
</body>
</html>
`;
}
