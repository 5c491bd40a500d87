// The console's view of the mirror in a real browser: a real gpu-server with a mirror, real agents, and a registry of this process.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { Registry } from "#sim/registry/registry.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";
import { cachedBinary } from "../../../scripts/binaries.ts";
import { violationsOf } from "../site/axe.ts";
import { openBrowser } from "../site/browser.ts";
import { signIn, signInWith } from "../site/console_page.ts";
import { OpenedPages } from "../site/opened_pages.ts";
import { pictured } from "../site/pictures.ts";

const BOXES = ["gpu-1", "gpu-2"];
const NARROW = { viewport: { width: 320, height: 760 }, colorScheme: "dark" } as const;

let registry: Registry;
let site: ProcessSite;
let browser: Browser;
let program: string;
let server: HttpServer;
let names: { phi: string; gemma: string; slow: string };
const pages = new OpenedPages();

beforeAll(async () => {
  [program, browser] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
  registry = await Registry.start();
  const registries = ["--allow-registry", registry.host, "--insecure-registry", registry.host];
  site = new ProcessSite();
  for (const box of BOXES) {
    const modelsDir = join(site.dir, `models-${box}`);
    const ollama = await site.ollama({ modelsDir, plainHttpRegistries: [registry.host] });
    await site.agent(box, ollama.url, ["--ollama-models", modelsDir, ...registries]);
  }
  server = await site.server(["--mirror", "--manage-tokens", ...registries], program);
  names = {
    phi: registry.offer("phi", { layers: [200_000, 1000] }),
    gemma: registry.offer("gemma", { layers: [300_000, 1000] }),
    slow: registry.offer("slow", { layers: [20_000_000, 1000], bytesPerSecond: 500_000 }),
  };
});
afterAll(async () => {
  await browser.close();
  await site.close();
  await registry.stop();
});

async function open(at = "#/mirror", role: "gp" | "viewer" = "gp", look: object = {}): Promise<Page> {
  return await pages.open(browser, server, { at, role, look });
}

function entry(page: Page, name: string) {
  return page.getByRole("list", { name: "Models in the mirror" }).getByRole("listitem").filter({ hasText: name });
}

function fetchOf(page: Page, name: string) {
  return page.getByRole("list", { name: "Fetches" }).getByRole("listitem").filter({ hasText: name });
}

async function fetchModel(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name: "Fetch a model" }).click();
  await page.getByLabel("Model name").fill(name);
  await page.keyboard.press("Enter");
  await page.getByText(`Fetching ${name} into the mirror`).waitFor();
}

test("an empty mirror shows what to do, and a fetched model is in the list without a reload", async () => {
  const page = await open();
  await page.getByText("The mirror is empty.").waitFor();
  await page.getByText("Nothing has been fetched yet.").waitFor();
  await pictured(page, "mirror-empty");
  await fetchModel(page, names.phi);
  await entry(page, names.phi).getByText("on no box").waitFor();
  await entry(page, names.phi).getByText("not signed").waitFor();
  await fetchOf(page, names.phi).getByText("Fetched").waitFor();
});

test("a fetch is shown live, survives a reload, and can be canceled and begun again", async () => {
  const page = await open();
  await fetchModel(page, names.slow);
  const bar = page.getByRole("progressbar", { name: `${names.slow} into the mirror` });
  const percent = async (): Promise<number> => Number(await bar.getAttribute("aria-valuenow"));
  await until(async () => (await percent()) > 2, "the bar moves");
  const before = await percent();
  await page.reload();
  await until(async () => (await percent()) > before, "the bar goes on after a reload");
  await fetchOf(page, names.slow)
    .getByText(/ MB of 20\.0 MB · .*\/s · \d+ s left/)
    .waitFor();
  await pictured(page, "mirror-fetching");
  await page.getByRole("link", { name: "Models", exact: true }).click();
  await page.getByRole("heading", { name: "Fetching into the mirror" }).waitFor();
  await page.getByRole("link", { name: "Mirror", exact: true }).first().click();
  await page.getByRole("button", { name: `Cancel the fetch of ${names.slow}` }).click();
  await fetchOf(page, names.slow).getByText("Canceled").waitFor();
  await page.getByRole("button", { name: `Retry the fetch of ${names.slow}` }).click();
  await bar.waitFor();
  await page.getByRole("button", { name: `Cancel the fetch of ${names.slow}` }).click();
  await bar.waitFor({ state: "detached" });
});

test("a pull through the mirror downloads once, and the mirror shows which boxes have it", async () => {
  const page = await open("#/models");
  await page.getByRole("button", { name: "Pull a model" }).click();
  await page.getByLabel("Model name").fill(names.gemma);
  await page.getByRole("button", { name: /^All 2/ }).click();
  await page.getByRole("checkbox", { name: /^Through the mirror/ }).check();
  await pictured(page, "mirror-pull");
  await page.getByRole("button", { name: "Pull on 2 boxes" }).click();
  await page.getByText(`Fetching into the mirror, then pulling ${names.gemma} on 2 boxes`).waitFor();
  await page.getByRole("link", { name: "Mirror", exact: true }).first().click();
  await entry(page, names.gemma).getByText("on 2 boxes: gpu-[1-2]").waitFor({ timeout: 40_000 });
  expect(registry.served("gemma").bytes).toBeLessThan(302_000);
});

test("a fetch that pulls wait for names their boxes", async () => {
  const page = await open();
  const { answer } = await server.call("POST", "/v1/jobs", {
    kind: "pull",
    model: names.slow,
    agents: BOXES,
    via: "mirror",
  });
  expect(answer["fetch"]).toMatchObject({ model: names.slow });
  await page.evaluate("dispatchEvent(new Event('focus'))");
  await fetchOf(page, names.slow).getByText("then pulled on gpu-[1-2]").waitFor();
  await page.getByRole("button", { name: `Cancel the fetch of ${names.slow}` }).click();
  await fetchOf(page, names.slow).first().getByText("Canceled").waitFor();
});

test("the fetch of an agent is shown as such, and begun again by that agent", async () => {
  const page = await open();
  const asked: unknown[] = [];
  const nothing = { started_at: null, bytes_per_second: null, requested_by: null, total_bytes: null };
  const failed = { state: "failed", code: "unavailable", error: "registry.example cannot be reached" };
  const times = { created_at: "2026-01-01T00:00:00Z", finished_at: "2026-01-01T00:00:00Z" };
  const fetch = { id: "f1", agent: "gpu-2", model: "phi4:latest", completed_bytes: 0, ...nothing, ...failed, ...times };
  await page.route("**/v1/mirror/fetches", async (route) => {
    if (route.request().method() === "POST") asked.push(route.request().postDataJSON());
    await route.fulfill({ json: route.request().method() === "POST" ? fetch : { fetches: [fetch] } });
  });
  await page.evaluate("dispatchEvent(new Event('focus'))");
  await fetchOf(page, "phi4:latest").getByText("by gpu-2").waitFor();
  await fetchOf(page, "phi4:latest").getByText("registry.example cannot be reached").waitFor();
  await page.getByRole("button", { name: "Retry the fetch of phi4:latest" }).click();
  await until(() => asked.length === 1, "it was asked for");
  expect(asked).toEqual([{ model: "phi4:latest", agent: "gpu-2" }]);
});

test("a model of the mirror is pulled from its list, through the mirror unless somebody says otherwise", async () => {
  const page = await open();
  await page.getByRole("button", { name: `Pull ${names.phi}` }).click();
  const dialog = page.getByRole("dialog", { name: `Pull ${names.phi}` });
  expect(await dialog.getByRole("checkbox", { name: /^Through the mirror/ }).isChecked()).toBe(true);
  await dialog.getByRole("button", { name: /^Pull on gpu-/ }).click();
  await entry(page, names.phi)
    .getByText(/^on 1 box: gpu-/)
    .waitFor({ timeout: 40_000 });
});

test("it is usable in a narrow dark window and by the keyboard", async () => {
  const page = await open("#/mirror", "gp", NARROW);
  await entry(page, names.phi).waitFor();
  expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBe(0);
  expect(
    await page.evaluate("document.querySelector('nav').scrollWidth - document.querySelector('nav').clientWidth"),
  ).toBe(0);
  expect(await violationsOf(page)).toEqual([]);
  await pictured(page, "mirror-narrow");
  await page.getByRole("button", { name: "Fetch a model" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Fetch a model" }).waitFor();
  expect(await violationsOf(page)).toEqual([]);
  await pictured(page, "mirror-fetch-narrow");
  await page.keyboard.press("Escape");
  expect(await page.evaluate("document.activeElement.textContent")).toBe("Fetch a model");
});

test("a refused fetch is explained in the dialog", async () => {
  const page = await open();
  await page.getByRole("button", { name: "Fetch a model" }).click();
  await page.getByLabel("Model name").fill("other.example/library/phi");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByRole("alert").waitFor();
});

test("a viewer sees the mirror and has no control that changes it", async () => {
  const page = await open("#/mirror", "viewer");
  await entry(page, names.phi).waitFor();
  expect(await page.locator("main").getByRole("button").count()).toBe(0);
});

test("a user of some boxes pulls a model of the mirror without asking the server to fetch it", async () => {
  const asked = await server.call("POST", "/v1/tokens", { name: "team", role: "gp", agents: ["gpu-1"] });
  const page = await (await browser.newContext()).newPage();
  await signInWith(page, `${server.url}/#/mirror`, String(asked.answer["token"]));
  await page.getByRole("button", { name: `Pull ${names.phi}` }).click();
  const dialog = page.getByRole("dialog", { name: `Pull ${names.phi}` });
  expect(await dialog.getByRole("checkbox", { name: /^Through the mirror/ }).count()).toBe(0);
  await dialog.getByRole("button", { name: "Pull on gpu-1" }).click();
  await page.getByText(`Pulling ${names.phi} on gpu-1`).waitFor();
});

test("fetches are followed where each answer takes longer than a second", async () => {
  const page = await open();
  await page.route("**/v1/mirror/fetches", async (route) => {
    if (route.request().method() === "GET") await Bun.sleep(1_300);
    await route.continue();
  });
  const brief = registry.offer("brief", { layers: [1_000_000, 1000], bytesPerSecond: 20_000 });
  await fetchModel(page, brief);
  await fetchOf(page, brief).getByText("Fetching", { exact: true }).waitFor();
  registry.setSpeed("brief", Infinity);
  await fetchOf(page, brief).getByText("Fetched", { exact: true }).waitFor();
});

test("the view is there as soon as a server that failed once says that it has a mirror", async () => {
  const page = await (await browser.newContext()).newPage();
  let isAway = true;
  await page.route("**/v1/mirror/fetches", async (route) => {
    if (!isAway) return await route.continue();
    const json = { code: "unavailable", detail: "The store is away" };
    await route.fulfill({ status: 503, contentType: "application/problem+json", json });
  });
  await signIn(page, server);
  await page.getByRole("link", { name: "Models", exact: true }).waitFor();
  expect(await page.getByRole("link", { name: "Mirror", exact: true }).count()).toBe(0);
  isAway = false;
  await page.evaluate("dispatchEvent(new Event('focus'))");
  await page.getByRole("link", { name: "Mirror", exact: true }).first().waitFor();
});

test("a model is removed after a question, and leftovers are reported", async () => {
  const page = await open();
  await page.getByRole("button", { name: `Remove ${names.gemma}` }).click();
  const dialog = page.getByRole("dialog", { name: `Remove ${names.gemma} from the mirror?` });
  await dialog.getByText(/^This frees up to 30\d\.\d kB on the share/).waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await entry(page, names.gemma).waitFor();
  await page.getByRole("button", { name: `Remove ${names.gemma}` }).click();
  await dialog.getByRole("button", { name: "Remove from the mirror" }).click();
  await page.getByText(/is removed from the mirror: 30\d\.\d kB freed/).waitFor();
  expect(await entry(page, names.gemma).count()).toBe(0);
  await page.getByRole("button", { name: "Remove leftovers" }).click();
  await page.getByText("Nothing is left over in the mirror").waitFor();
});

test("without a mirror there is no view and no choice", async () => {
  const other = await site.server([], program);
  const page = await (await browser.newContext()).newPage();
  await signIn(page, other, "#/mirror");
  await page.getByRole("heading", { name: "Boxes", level: 1 }).waitFor();
  expect(await page.getByRole("link", { name: "Mirror", exact: true }).count()).toBe(0);
  await page.goto(`${other.url}/#/models`);
  await page.getByRole("button", { name: "Pull a model" }).click();
  await page.getByRole("dialog").getByText("gpu-1").first().waitFor();
  expect(await page.getByRole("checkbox", { name: /^Through the mirror/ }).count()).toBe(0);
});

test("no page asked another server, broke a rule of its policy, or failed", () => {
  expect(pages.problems).toEqual([]);
});
