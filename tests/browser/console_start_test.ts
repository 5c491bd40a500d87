// The console at its beginning: the link that `npm start` prints, and a server that cannot be reached.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { ProcessSite, until } from "#tests/process/site/site.ts";
import { cachedBinary, ROOT } from "../../scripts/binaries.ts";
import { openBrowser } from "./site/browser.ts";

const RIGHT_WITHIN_MS = 10_000;

let browser: Browser;
let site: ProcessSite;

beforeAll(async () => {
  browser = await openBrowser();
  site = new ProcessSite();
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

test("the link that npm start prints first signs in, and shows the box", async () => {
  let printed = "";
  const decoder = new TextDecoder();
  const data = (_: Bun.Terminal, bytes: Uint8Array): void => void (printed += decoder.decode(bytes, { stream: true }));
  const start = Bun.spawn([process.execPath, join(ROOT, "scripts/demo.ts")], {
    cwd: ROOT,
    env: { ...process.env, TERM: "xterm" },
    terminal: { cols: 200, rows: 50, data },
  });
  try {
    const link = await until(() => /http:\S+#code=[\w-]+/.exec(printed)?.[0], "the link is printed", 40_000);
    expect(printed.indexOf(link)).toBeLessThan(500);
    const page = await browser.newPage();
    await page.goto(link);
    await page.getByRole("link", { name: "gpu-1" }).waitFor();
    await page.locator(".contact.live").waitFor();
    expect(page.url()).not.toContain("code");
    await page.context().close();
  } finally {
    start.kill("SIGINT");
    await start.exited;
  }
});

test("a server that goes away while the page loads: the page shows what to do, and continues by itself", async () => {
  const program = await cachedBinary("gpu-server");
  const server = await site.server([], program);
  const port = new URL(server.url).port;
  const page = await browser.newPage();
  // As behind a proxy that keeps the page: the script arrives, and nothing after it.
  const isDown = Promise.withResolvers<void>();
  await page.route("**/v1/session", async (route) => {
    await isDown.promise;
    await route.continue();
  });
  await page.goto(server.url);
  await server.process.stop();
  isDown.resolve();
  await page.getByRole("heading", { name: "No connection" }).waitFor();
  const alert = page.getByRole("alert");
  await alert.getByText("The server cannot be reached").waitFor();
  await alert.getByText("Check the network. The page reconnects by itself").waitFor();
  await site.restart(server, program, ["--port", port]);
  const startedMs = performance.now();
  await page.locator("input[type=password]").waitFor({ timeout: RIGHT_WITHIN_MS });
  process.stderr.write(
    `the page continued ${Math.round(performance.now() - startedMs)} ms after the server was there\n`,
  );
  await page.context().close();
});
