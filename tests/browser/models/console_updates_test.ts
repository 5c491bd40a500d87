// The console's marks of outdated models in a real browser, before real agents that pull from a registry of this process.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { Registry } from "#sim/registry/registry.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";
import { cachedBinary } from "../../../scripts/binaries.ts";
import { violationsOf } from "../site/axe.ts";
import { openBrowser } from "../site/browser.ts";
import { pull } from "../site/console_page.ts";
import { OpenedPages } from "../site/opened_pages.ts";
import { pictured } from "../site/pictures.ts";

const BOXES = ["gpu-1", "gpu-2"];

let registry: Registry;
let site: ProcessSite;
let browser: Browser;
let server: HttpServer;
/** In the registry there is a newer one of the first two. */
let names: { phi: string; gemma: string; qwen: string; broken: string };
const pages = new OpenedPages();

beforeAll(async () => {
  const [program, chromium] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
  browser = chromium;
  registry = await Registry.start();
  site = new ProcessSite();
  for (const box of BOXES) {
    const modelsDir = join(site.dir, `models-${box}`);
    const ollama = await site.ollama({ modelsDir, plainHttpRegistries: [registry.host] });
    const flags = ["--ollama-models", modelsDir, "--allow-registry", registry.host];
    await site.agent(box, ollama.url, [...flags, "--insecure-registry", registry.host]);
  }
  server = await site.server(["--allow-registry", registry.host, "--insecure-registry", registry.host], program);
  names = {
    phi: registry.offer("phi", { layers: [200_000, 1000] }),
    gemma: registry.offer("gemma", { layers: [300_000, 1000] }),
    qwen: registry.offer("qwen", { layers: [100_000, 1000] }),
    broken: registry.offer("broken", { layers: [50_000, 1000] }),
  };
  for (const box of BOXES) for (const name of Object.values(names)) await pull(server, name, box);
  await until(async () => (await holdersOf(names.broken)).length === 2 && (await ended()), "the models are there");
  registry.offer("phi", { layers: [250_000, 1000], content: "phi, newer" });
  registry.offer("gemma", { layers: [350_000, 1000], content: "gemma, newer", bytesPerSecond: 100_000 });
  registry.break("broken", { kind: "manifest", status: 500 });
});
afterAll(async () => {
  await browser.close();
  await site.close();
  await registry.stop();
});

async function ended(): Promise<boolean> {
  const { answer } = await server.call("GET", "/v1/jobs?state=queued,running,verifying");
  return Array.isArray(answer["jobs"]) && answer["jobs"].length === 0;
}

async function holdersOf(name: string): Promise<readonly string[]> {
  const { answer } = await server.call("GET", `/v1/models?name=${encodeURIComponent(name)}`);
  const { models = [] }: { models?: readonly { agents: readonly string[] }[] } = answer;
  return models.flatMap(({ agents }) => agents);
}

async function open(role: "gp" | "viewer" = "gp", at = "#/models", look: object = {}): Promise<Page> {
  return await pages.open(browser, server, { at, role, look });
}

function row(page: Page, name: string) {
  return page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });
}

function updatesRequests(): number {
  return pages.requests.flat().filter((each) => each.endsWith("/v1/updates")).length;
}

test("outdated models are marked, what could not be compared is named, and current ones are not", async () => {
  const page = await open();
  await page.getByText("on 2 boxes: at most 1.2 MB to fetch").waitFor();
  await row(page, names.phi).getByText("outdated", { exact: true }).waitFor();
  await row(page, names.gemma).getByText("outdated", { exact: true }).waitFor();
  expect(await row(page, names.qwen).getByText("outdated", { exact: true }).count()).toBe(0);
  await page.getByText("Newer versions unknown").waitFor();
  await page.getByText(`for 1 model: ${registry.host} answers 500`).waitFor();
  await pictured(page, "updates");
  await page.goto(`${server.url}/#/models/${encodeURIComponent(names.phi)}`);
  await page.getByText("A newer version, 251").waitFor();
  await pictured(page, "updates-model");
  await page.goto(`${server.url}/#/models/${encodeURIComponent(names.qwen)}`);
  await page.getByText("The same").waitFor();
  expect(await page.getByRole("button", { name: "Update", exact: true }).count()).toBe(0);
});

test("a viewer sees the marks and no button", async () => {
  const page = await open("viewer");
  await row(page, names.phi).getByText("outdated", { exact: true }).waitFor();
  expect(await page.getByRole("button", { name: /^update/i }).count()).toBe(0);
  await row(page, names.phi).getByRole("link").click();
  await page.getByText("A newer version").waitFor();
  expect(await page.locator("main").getByRole("button").count()).toBe(0);
});

test("the dialog shows sizes and boxes in a narrow dark window too, and closes without an update", async () => {
  const page = await open("gp", "#/models", { viewport: { width: 320, height: 700 }, colorScheme: "dark" });
  await page.getByRole("button", { name: "Update…" }).click();
  const dialog = page.getByRole("dialog", { name: "Update models" });
  await dialog.getByText("At most 1.2 MB to fetch on 2 boxes.").waitFor();
  expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBe(0);
  expect(await violationsOf(page)).toEqual([]);
  await pictured(page, "updates-dialog-narrow");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await pictured(page, "updates-narrow");
  expect(await violationsOf(page)).toEqual([]);
  expect(await ended()).toBe(true);
});

test("the dialog stays open while others pull what it shows, and does not come back when they stop", async () => {
  const page = await open();
  await page.getByRole("button", { name: "Update…" }).click();
  const dialog = page.getByRole("dialog", { name: "Update models" });
  await dialog.getByText("At most 1.2 MB to fetch on 2 boxes.").waitFor();
  for (const model of ["phi", "gemma"]) registry.break(model, { kind: "data", status: 500 });
  const jobs: string[] = [];
  for (const box of BOXES) for (const name of [names.phi, names.gemma]) jobs.push(await pull(server, name, box));
  const newer = page.locator("h2", { hasText: "Newer versions" });
  await newer.waitFor({ state: "detached" });
  expect(await dialog.isVisible()).toBe(true);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  for (const id of jobs) await server.call("POST", `/v1/jobs/${id}/cancel`);
  await newer.waitFor();
  expect(await dialog.count()).toBe(0);
  for (const model of ["phi", "gemma"]) registry.break(model, null);
});

test("an update fetches the chosen models on the chosen boxes, and the mark is gone without a reload", async () => {
  const page = await open();
  await page.getByRole("button", { name: "Update…" }).click();
  const dialog = page.getByRole("dialog", { name: "Update models" });
  await dialog.getByRole("checkbox", { name: new RegExp(`^${names.gemma}`) }).uncheck();
  await dialog
    .getByText("At most 502.8 kB to fetch on 2 boxes.")
    .or(dialog.getByText(/At most 50\d\.\d kB/))
    .waitFor();
  await dialog.getByRole("checkbox", { name: /^gpu-2/ }).uncheck();
  await pictured(page, "updates-dialog");
  const before = registry.manifestRequests("qwen");
  await dialog.getByRole("button", { name: "Update on gpu-1" }).click();
  await page.getByText(`Updating ${names.phi} on gpu-1`).waitFor();
  await page
    .getByText("on 2 boxes: at most 954")
    .or(page.getByText(/at most 9\d\d\.\d kB to fetch/))
    .waitFor();
  await until(async () => (await ended()) && (await row(page, names.phi).count()) === 2, "two versions are listed");
  expect(registry.manifestRequests("qwen")).toBe(before);
  await page.getByRole("button", { name: "Update…" }).click();
  await dialog.getByRole("button", { name: "Update on 2 boxes" }).click();
  await page.getByText("Updating 2 models on 2 boxes").waitFor();
  await page.getByRole("heading", { name: "Newer versions" }).waitFor({ state: "detached" });
  await until(ended, "the updates have ended", 60_000);
  await until(async () => (await page.getByText("outdated", { exact: true }).count()) === 0, "no mark is left");
  expect(registry.manifestRequests("qwen")).toBe(before);
});

test("the page of a model shows its new version after its update", async () => {
  registry.offer("phi", { layers: [260_000, 1000], content: "phi, the newest" });
  const page = await open();
  await row(page, names.phi).getByRole("link").click();
  // The server keeps what the registry said: another pull finds what it has now.
  for (const box of BOXES) await pull(server, names.phi, box);
  await page.getByText(registry.manifestDigest("phi").slice(0, 12)).waitFor();
});

test("each page asked for updates once, whatever happened on the boxes", () => {
  expect(updatesRequests()).toBe(pages.count);
});

test("no page asked another server, broke a rule of its policy, or failed", () => {
  expect(pages.problems).toEqual([]);
});
