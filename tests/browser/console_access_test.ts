// The console's views of access and of setup in a real browser: tokens are created, shown once and revoked.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";
import { cachedBinary } from "../../scripts/binaries.ts";
import { openBrowser, Watched } from "./site/browser.ts";
import { pull, signIn, signInWith } from "./site/console_page.ts";
import { webhookOptions } from "./site/shown_site.ts";

const PHI = { name: "phi4:latest", layers: [200_000, 1000] };

let site: ProcessSite;
let browser: Browser;
let program: string;
let server: HttpServer;
let ollamaUrl: string;
let receiver: Bun.Server<undefined>;
const opened: { page: Page; watched: Watched }[] = [];

beforeAll(async () => {
  [program, browser] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
  site = new ProcessSite();
  ollamaUrl = (await site.ollama({ catalog: [PHI], installed: [PHI] })).url;
  await site.agent("gpu-1", ollamaUrl);
  receiver = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) => new Response(null, { status: url.endsWith("/good") ? 204 : 500 }),
  });
  const hooks = webhookOptions(site.dir, [`${receiver.url.origin}/good`, `${receiver.url.origin}/bad`]);
  server = await site.server(["--manage-tokens", ...hooks], program);
});
afterAll(async () => {
  await browser.close();
  await site.close();
  await receiver.stop(true);
});

async function newPage(): Promise<Page> {
  const context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  opened.push({ page, watched: await Watched.over(page) });
  return page;
}

async function open(at: string, role: "gp" | "viewer" = "gp"): Promise<Page> {
  const page = await newPage();
  await signIn(page, server, at, role);
  return page;
}

test("a token is created with a role, a scope and an end, shown once, signs in, and is revoked", async () => {
  const page = await open("#/access");
  const tokens = page.getByRole("table", { name: "Tokens" });
  await page.getByRole("button", { name: "Create a token" }).click();
  await page.getByLabel("Name").fill("grafana");
  await page.getByLabel("only some boxes").check();
  await page.getByRole("checkbox", { name: "gpu-1" }).check();
  await page.getByLabel("Last day").fill("2099-06-01");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Token grafana" });
  const token = (await dialog.locator("code").textContent()) ?? "";
  expect(token).toMatch(/^gpuc_/);
  await dialog.getByRole("button", { name: "Copy the token" }).click();
  await dialog.getByRole("button", { name: "Copy the token" }).getByText("Copied").waitFor();
  expect(await page.evaluate("navigator.clipboard.readText()")).toBe(token);
  await dialog.getByRole("button", { name: "Done" }).click();
  const line = tokens.getByRole("row").filter({ hasText: "grafana" });
  await line.getByText("1 box gpu-1").waitFor();
  await line.getByText("read-only").waitFor();
  expect(await page.content()).not.toContain(token);
  const its = await newPage();
  await signInWith(its, `${server.url}/`, token);
  await line.getByRole("button", { name: "Revoke grafana" }).click();
  await page.getByRole("button", { name: "Revoke", exact: true }).click();
  await page.getByText("Token grafana is revoked").waitFor();
  // Without another click.
  await page
    .getByRole("list", { name: "Audit log" })
    .getByText(/tokens\/grafana|token grafana/i)
    .first()
    .waitFor();
  await line.waitFor({ state: "detached" });
  await its.getByText("Your session has ended").waitFor();
});

test("a token that is added elsewhere is shown when the user comes back to the page", async () => {
  const page = await open("#/access");
  await page.getByRole("table", { name: "Tokens" }).waitFor();
  expect((await server.call("POST", "/v1/tokens", { name: "elsewhere", role: "viewer" })).status).toBe(201);
  await page.evaluate("dispatchEvent(new Event('focus'))");
  await page.getByRole("row").filter({ hasText: "elsewhere" }).waitFor();
});

test("the log of webhooks shows what was delivered, and why something was not yet", async () => {
  await pull(server, "phi4");
  const page = await open("#/access");
  const deliveries = page.getByRole("list", { name: "Deliveries" }).getByRole("listitem");
  await until(async () => {
    await page.getByRole("region", { name: "Webhooks" }).getByRole("button", { name: "Refresh" }).click();
    return (
      (await deliveries
        .filter({ hasText: "job.ended" })
        .filter({ hasText: /attempt.*last status/ })
        .count()) === 2
    );
  }, "both targets were tried");
  const delivered = deliveries.filter({ hasText: "delivered" }).filter({ hasText: "job.ended gpu-1/" });
  await delivered.getByText("1 attempt, last status 204").waitFor();
  await deliveries.filter({ hasText: "last status 500" }).filter({ hasText: "pending" }).first().waitFor();
  const targets = page.getByRole("list", { name: "Targets of webhooks" }).getByRole("listitem");
  await targets
    .filter({ hasText: /[1-9]\d* delivered/ })
    .getByText("OK")
    .waitFor();
  await targets.filter({ hasText: /failures? in a row|Paused/ }).waitFor();
});

test("what is not allowed is explained in the dialog", async () => {
  const page = await open("#/access");
  await page.getByRole("button", { name: "Create a token" }).click();
  await page.getByLabel("Name").fill("gp");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByRole("alert").filter({ hasText: "gp" }).waitFor();
});

test("the audit log shows who did it, the newest first, and older entries on demand", async () => {
  for (let count = 0; count < 55; count++) await server.call("DELETE", `/v1/agents/gpu-9/models/none-${count}`);
  const page = await open("#/access");
  const entries = page.getByRole("list", { name: "Audit log" }).getByRole("listitem");
  await entries.filter({ hasText: "none-54" }).waitFor();
  expect(await entries.count()).toBe(50);
  await entries.first().getByText("by gp (token").waitFor();
  await page.getByRole("button", { name: "Show older entries" }).click();
  await entries.filter({ hasText: "none-0" }).first().waitFor();
  const more = page.getByRole("button", { name: "Show older entries" });
  await more.waitFor({ state: "detached" });
});

test("without --manage-tokens there are no tokens, and a viewer has no view of access at all", async () => {
  const viewer = await open("#/access", "viewer");
  await viewer.getByRole("heading", { name: "Boxes", level: 1 }).waitFor();
  expect(await viewer.getByRole("link", { name: "Access" }).count()).toBe(0);
  const other = await site.server([], program);
  const page = await newPage();
  await signIn(page, other, "#/access");
  await page.getByText("To manage them here").waitFor();
  expect(await page.getByRole("button", { name: "Create a token" }).count()).toBe(0);
});

test("setup has the command to copy, and shows a box when it is there", async () => {
  const page = await open("#/setup");
  const { answer } = await server.call("GET", "/v1/setup");
  const { commands = [] }: { commands?: readonly string[] } = answer;
  await page.getByRole("button", { name: `Copy command ${commands.length}` }).click();
  expect(await page.evaluate("navigator.clipboard.readText()")).toBe(commands.at(-1));
  await page.getByText("No new box yet.").waitFor();
  await site.agent("gpu-2", ollamaUrl);
  await page.getByRole("link", { name: "gpu-2" }).waitFor();
});

test("doctor reports in words, troubles first", async () => {
  const page = await open("#/setup");
  await page.getByRole("button", { name: "Check all" }).click();
  await page.getByText(/\d checks? passed/).waitFor();
  await page
    .getByText(/passed|failed|warning/)
    .first()
    .waitFor();
  await page.getByRole("button", { name: "Check again" }).waitFor();
});

test("no page asked another server, broke a rule of its policy, or failed", () => {
  for (const { watched } of opened) {
    expect(watched.problems).toEqual([]);
    expect(watched.outside(server.url).filter((url) => !url.startsWith("http://127.0.0.1:"))).toEqual([]);
  }
});
