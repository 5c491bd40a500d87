// The console's page of a box in a real browser, before real agents: its disk, the cleanup of it, and loading a model.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { type HttpServer, ProcessSite, type Running, until } from "#tests/process/site/site.ts";
import { cachedBinary } from "../../../scripts/binaries.ts";
import { violationsOf } from "../site/axe.ts";
import { openBrowser } from "../site/browser.ts";
import { pull } from "../site/console_page.ts";
import { OpenedPages } from "../site/opened_pages.ts";
import { pictured } from "../site/pictures.ts";

const PHI = { name: "phi4:latest", layers: [200_000, 1000] };
const CODER = { name: "coder:latest", layers: [300_000, 800] };
const LONG = { name: "long:latest", layers: [40_000_000, 500] };
const LATER = join(import.meta.dir, "..", "site", "later_agent.ts");
const NARROW = { viewport: { width: 320, height: 760 }, colorScheme: "dark" } as const;

let site: ProcessSite;
let browser: Browser;
let server: HttpServer;
/** gpu-2's agent. */
let lastAgent: Running | undefined;
const pages = new OpenedPages();

/** gpu-1 takes its leftovers for old ones, gpu-2 knows that they are new. */
beforeAll(async () => {
  const [program, chromium] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
  browser = chromium;
  site = new ProcessSite();
  for (const [box, command] of [
    ["gpu-1", [process.execPath, LATER]],
    ["gpu-2", undefined],
  ] as const) {
    const modelsDir = join(site.dir, `models-${box}`);
    const installed = [PHI, CODER];
    const ollama = await site.ollama({ modelsDir, catalog: [PHI, LONG], installed, bytesPerSecond: 2_000_000 });
    writeFileSync(blob(box, "d"), Buffer.alloc(120_000, 1));
    writeFileSync(partial(box, "e"), Buffer.alloc(80_000, 1));
    truncateSync(partial(box, "e"), 900_000);
    const agent = site.startAgent(box, ollama.url, ["--ollama-models", modelsDir], {}, command);
    await agent.logged("Ready");
    lastAgent = agent;
  }
  server = await site.server([], program);
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

function blob(box: string, digit: string): string {
  return join(site.dir, `models-${box}`, "blobs", `sha256-${digit.repeat(64)}`);
}

function partial(box: string, digit: string): string {
  return `${blob(box, digit)}-partial`;
}

async function open(at: string, role: "gp" | "viewer" = "gp", look: object = {}): Promise<Page> {
  return await pages.open(browser, server, { at, role, look });
}

function panel(page: Page) {
  return page.getByRole("region", { name: "Disk usage" });
}

async function focused(page: Page): Promise<unknown> {
  return await page.evaluate("document.activeElement.tagName + ' ' + document.activeElement.textContent");
}

test("the disk of a box is shown with its models and what is left over, wide and narrow", async () => {
  for (const [name, look] of [
    ["disk", { viewport: { width: 1280, height: 1100 } }],
    ["disk-narrow", NARROW],
  ] as const) {
    const page = await open("#/boxes/gpu-1", "gp", look);
    await panel(page).getByText("Orphaned blobs 120.0 kB").waitFor();
    const models = panel(page).getByRole("list", { name: "Models on this disk" });
    expect(await models.getByRole("listitem").allTextContents()).toEqual([
      expect.stringMatching(/^coder:latest30\d\.\d kB/),
      expect.stringMatching(/^phi4:latest20\d\.\d kB/),
    ]);
    await panel(page)
      .getByText(/^1 unfinished download, 8\d\.\d kB$/)
      .click();
    await panel(page)
      .getByText(/^1 orphaned blob, 120\.0 kB$/)
      .click();
    await panel(page).getByText("sha256:dddddddddddd").scrollIntoViewIfNeeded();
    expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBe(0);
    expect(await violationsOf(page)).toEqual([]);
    await pictured(page, name);
    await page.evaluate("scrollTo(0, 250)");
    await pictured(page, `${name}-load`);
  }
});

test("all models of a disk are shown, and fewer again, by one button that keeps the focus", async () => {
  const page = await open("#/boxes/gpu-2");
  const models = Array.from({ length: 10 }, (_, index) => ({ name: `m${index}`, own_bytes: 10, shared_bytes: 0 }));
  await page.route("**/v1/agents/gpu-2/disk", async (route) => {
    const document = await (await route.fetch()).json();
    Object.assign(document.agents[0].usage, { models });
    await route.fulfill({ json: document });
  });
  await page.getByRole("button", { name: "Measure again" }).click();
  await page.getByRole("button", { name: "Show 2 smaller models" }).focus();
  await page.keyboard.press("Enter");
  await panel(page).getByText("m9").waitFor();
  expect(await focused(page)).toBe("BUTTON Show fewer models");
  await page.keyboard.press("Enter");
  await panel(page).getByText("m9").waitFor({ state: "detached" });
});

test("a viewer sees the disk and cannot clean it up or load a model", async () => {
  const page = await open("#/boxes/gpu-1", "viewer");
  await panel(page).getByText("Orphaned blobs 120.0 kB").waitFor();
  expect(await page.getByRole("button", { name: /clean up|load/i }).count()).toBe(0);
});

test("a cleanup removes nothing that is new, and shows the reason", async () => {
  const page = await open("#/boxes/gpu-2");
  await page.getByRole("button", { name: "Clean up…" }).click();
  const dialog = page.getByRole("dialog", { name: "Clean up gpu-2" });
  await dialog.getByText("Nothing can be removed now.").waitFor();
  await dialog.getByText(/^2 blobs, 2\d\d\.\d kB kept: it changed less than an hour ago$/).waitFor();
  expect(await dialog.getByRole("button", { name: "Remove 0 B" }).getAttribute("aria-disabled")).toBe("true");
  await pictured(page, "disk-nothing");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  expect([blob("gpu-2", "d"), partial("gpu-2", "e")].filter(existsSync)).toHaveLength(2);
});

test("a cleanup is not possible while a pull runs, and shows that", async () => {
  const page = await open("#/boxes/gpu-1");
  const id = await pull(server, "long", "gpu-1");
  await page.getByRole("progressbar", { name: "long:latest on gpu-1" }).waitFor();
  await page.getByRole("button", { name: "Clean up…" }).click();
  await page
    .getByRole("dialog")
    .getByText(/kept: long:latest is being pulled$/)
    .waitFor();
  await page.keyboard.press("Escape");
  await server.call("POST", `/v1/jobs/${id}/cancel`);
  await page.getByRole("progressbar", { name: "long:latest on gpu-1" }).waitFor({ state: "detached" });
  expect([blob("gpu-1", "d"), partial("gpu-1", "e")].filter(existsSync)).toHaveLength(2);
});

test("a cleanup shows first what it would remove, removes what is chosen, and the figures follow", async () => {
  const page = await open("#/boxes/gpu-1", "gp", NARROW);
  await page.getByRole("button", { name: "Clean up…" }).click();
  const dialog = page.getByRole("dialog", { name: "Clean up gpu-1" });
  await dialog.getByRole("checkbox", { name: /unfinished download/ }).uncheck();
  expect(await violationsOf(page)).toEqual([]);
  await pictured(page, "disk-clean-up-narrow");
  expect(existsSync(blob("gpu-1", "d"))).toBe(true);
  await dialog.getByRole("button", { name: "Remove 120.0 kB" }).click();
  await page.getByText("Removed 1 blob from gpu-1: 120.0 kB freed").waitFor();
  expect([blob("gpu-1", "d"), partial("gpu-1", "e")].map((path) => existsSync(path))).toEqual([false, true]);
  expect(await panel(page).getByText("Orphaned blobs").count()).toBe(0);
  expect(await panel(page).getByText("Unfinished downloads").count()).toBe(1);
});

test("a cleanup asks only for the kinds that it has shown", async () => {
  const page = await open("#/boxes/gpu-1");
  const asked: unknown[] = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/gpu-1/prune")) asked.push(request.postDataJSON());
  });
  await page.getByRole("button", { name: "Clean up…" }).click();
  const dialog = page.getByRole("dialog", { name: "Clean up gpu-1" });
  await dialog.getByRole("checkbox", { name: /unfinished download/ }).waitFor();
  expect(await dialog.getByRole("checkbox").count()).toBe(1);
  await dialog.getByRole("button", { name: /^Remove/ }).click();
  await page.getByText(/^Removed 1 blob from gpu-1/).waitFor();
  expect(asked).toEqual([{ dry_run: true }, { partials: true, orphans: false }]);
});

test("a model is loaded by its button, and its line follows without a reload", async () => {
  const page = await open("#/boxes/gpu-2");
  await page.getByRole("button", { name: "Load phi4:latest", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("phi4:latest is loaded on gpu-2").waitFor();
  await page.getByRole("button", { name: "Unload phi4:latest" }).waitFor();
  await page.getByText("In memory", { exact: true }).nth(1).waitFor();
  await pictured(page, "disk-loaded");
  // The buttons are gone, and the keyboard goes on beside them.
  expect(await focused(page)).toMatch(/^LI phi4:latest/);
  await page.getByRole("button", { name: "Unload phi4:latest" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Load phi4:latest", exact: true }).waitFor();
  expect(await focused(page)).toMatch(/^SECTION In memory/);
  await page.keyboard.press("Tab");
  expect(await focused(page)).toBe("BUTTON Load");
});

test("a box that cannot measure its disk is shown with the reason", async () => {
  const page = await open("#/boxes/gpu-2");
  await panel(page).getByText("Orphaned blobs 120.0 kB").waitFor();
  const body = { code: "unimplemented", detail: "gpu-2 does not know disk_usage", hint: "Update gpu-agent there" };
  await page.route("**/v1/agents/gpu-2/disk", async (route) => {
    await route.fulfill({ status: 501, contentType: "application/problem+json", body: JSON.stringify(body) });
  });
  await page.getByRole("button", { name: "Measure again" }).click();
  await panel(page).getByText("gpu-2 does not know disk_usage").waitFor();
  await panel(page).getByText("Update gpu-agent there").waitFor();
});

test("the disk of a box that is away is not asked for", async () => {
  await lastAgent?.stop();
  const isAway = async () => (await server.call("GET", "/v1/agents/gpu-2")).answer["status"] !== "online";
  await until(isAway, "gpu-server knows that it is away");
  const page = await open("#/boxes/gpu-2");
  await panel(page).getByText("The box is away. Its disk is measured when it is back.").waitFor();
  expect(await page.getByRole("button", { name: /measure|clean up|^load/i }).count()).toBe(0);
  expect(pages.requests.at(-1)?.filter((each) => each.endsWith("/disk"))).toEqual([]);
});

test("no page asked another server, broke a rule of its policy, or failed", () => {
  expect(pages.problems).toEqual([]);
});
