// The console's view of models in a real browser, before real agents: what it does to the boxes, and that it shows that at once.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { FleetBox } from "#sim/fleet/box.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";
import { cachedBinary } from "../../../scripts/binaries.ts";
import { openBrowser, Watched } from "../site/browser.ts";
import { signIn } from "../site/console_page.ts";

const PHI = { name: "phi4:latest", layers: [200_000, 1000] };
const SMALL = { name: "small:latest", layers: [300_000, 800] };
const LONG = { name: "long:latest", layers: [40_000_000, 500] };
const SLOW = { name: "slow:latest", layers: [40_000_000, 600] };
const KEYS = { name: "keys:latest", layers: [200_000, 700] };
const HUGE = { name: "huge:latest", description: "Fits no disk", size: "9000 TB" };
const CATALOG = [PHI, SMALL, LONG, SLOW, KEYS];
const HOSTILE = '<img src=x onerror="document.title=1">';

let site: ProcessSite;
let browser: Browser;
let server: HttpServer;
const opened: { page: Page; watched: Watched }[] = [];

beforeAll(async () => {
  const [program, chromium] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
  browser = chromium;
  site = new ProcessSite();
  const models = CATALOG.map(({ name }) => ({ name, description: `About ${name}`, size: "300 kB" }));
  await Bun.write(join(site.dir, "catalog.json"), JSON.stringify({ models: [...models, HUGE] }));
  for (const name of ["gpu-1", "gpu-2"]) {
    const modelsDir = join(site.dir, `models-${name}`);
    const ollama = await site.ollama({
      modelsDir,
      catalog: CATALOG,
      installed: [PHI, SMALL],
      bytesPerSecond: 4_000_000,
    });
    await site.agent(name, ollama.url, ["--ollama-models", modelsDir]);
  }
  server = await site.server(["--catalog", join(site.dir, "catalog.json")], program);
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

async function open(role: "gp" | "viewer" = "gp", at = "#/models"): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(10_000);
  const watched = await Watched.over(page);
  await page.addInitScript("globalThis.clicks = 0; addEventListener('click', () => (clicks += 1), true)");
  await signIn(page, server, at, role);
  opened.push({ page, watched });
  return page;
}

function row(page: Page, name: string) {
  return page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });
}

/** Counted by the page itself from here on. */
async function clicksOf(page: Page, act: () => Promise<void>): Promise<number> {
  await page.evaluate("clicks = 0");
  await act();
  return Number(await page.evaluate("clicks"));
}

async function boxesWith(model: string): Promise<readonly string[]> {
  const { answer } = await server.call("GET", `/v1/models?name=${model}`);
  const { models = [] }: { models?: readonly { agents: readonly string[] }[] } = answer;
  return models.flatMap(({ agents }) => agents).toSorted();
}

test("list, catalog, set active, pull and delete take two clicks at most", async () => {
  const page = await open("gp", "#/boxes");
  const counts: Record<string, number> = {};
  counts["list"] = await clicksOf(page, async () => {
    await page.getByRole("link", { name: "Models", exact: true }).click();
    await row(page, "phi4:latest").waitFor();
  });
  counts["catalog"] = await clicksOf(page, async () => {
    await page.getByRole("button", { name: "Pull a model" }).click();
    await page.getByRole("list", { name: "Catalog" }).getByText("About long:latest").waitFor();
  });
  await page.keyboard.press("Escape");
  counts["pull"] = await clicksOf(page, async () => {
    await page.getByRole("button", { name: "Pull a model" }).click();
    await page.getByRole("button", { name: "Pull long:latest" }).click();
    await page.getByRole("progressbar", { name: /^long:latest on gpu-/ }).waitFor();
  });
  counts["set active"] = await clicksOf(page, async () => {
    await page.getByRole("button", { name: "Set the model for text" }).click();
    await page.getByRole("button", { name: /^phi4:latest/ }).click();
    await page.getByText("phi4:latest is now the model for text").waitFor();
  });
  await row(page, "phi4:latest").getByText("text", { exact: true }).waitFor();
  expect((await server.call("GET", "/v1/active-models")).answer["text"]).toBe("phi4:latest");
  counts["delete"] = await clicksOf(page, async () => {
    await page.getByRole("button", { name: "Delete small:latest" }).click();
    await page.getByRole("button", { name: "Delete from 2 boxes" }).click();
    await row(page, "small:latest").waitFor({ state: "detached" });
  });
  expect(await boxesWith("small:latest")).toEqual([]);
  process.stderr.write(`clicks: ${JSON.stringify(counts)}\n`);
  expect(Math.max(...Object.values(counts))).toBeLessThanOrEqual(2);
});

test("a pull by name on the chosen boxes is live, and the model is in the list when it has ended", async () => {
  const page = await open();
  await page.getByRole("button", { name: "Pull a model" }).click();
  await page.getByLabel("Model name").fill("small");
  const dialog = page.getByRole("dialog", { name: "Pull a model" });
  await dialog
    .getByText(/^fits, leaves/)
    .first()
    .waitFor();
  await page.getByRole("button", { name: /^All 2/ }).click();
  await page.getByRole("button", { name: "Pull on 2 boxes" }).click();
  await page.getByText("Pulling small on 2 boxes").waitFor();
  await row(page, "small:latest").getByText("2 boxes").waitFor();
  expect(await boxesWith("small:latest")).toEqual(["gpu-1", "gpu-2"]);
});

test("the bar of a pull moves in this view", async () => {
  const page = await open();
  await page.getByRole("button", { name: "Pull a model" }).click();
  await page.getByRole("button", { name: "Pull slow:latest" }).click();
  const bar = page.getByRole("progressbar", { name: /^slow:latest on gpu-/ });
  const percent = async (): Promise<number> => Number(await bar.getAttribute("aria-valuenow"));
  await until(async () => (await percent()) > 2, "it has begun");
  const before = await percent();
  await until(async () => (await percent()) > before, "it goes on");
  await page.getByRole("button", { name: /^Cancel the pull of slow:latest/ }).click();
  await bar.waitFor({ state: "detached" });
});

test("the catalog shows what does not fit, and a refused pull is explained in the dialog", async () => {
  const page = await open();
  await page.getByRole("button", { name: "Pull a model" }).click();
  const dialog = page.getByRole("dialog", { name: "Pull a model" });
  await dialog.getByText(/^too large, [\d.]+ [TP]B missing$/).waitFor();
  const phi = dialog.getByRole("listitem").filter({ hasText: "About phi4:latest" });
  await phi.getByText(/^fits, leaves [\d.]+ [GT]B free$/).waitFor();
  await page.getByLabel("Model name").fill("not a name");
  await page.keyboard.press("Enter");
  await dialog.getByRole("alert").waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
});

test("a delete shows what it frees and where, Escape leaves all as it is, and other pages see it without a reload", async () => {
  const page = await open();
  const other = await open();
  await row(other, "small:latest").waitFor();
  await page.getByRole("button", { name: "Delete small:latest" }).focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Delete small:latest?" });
  await dialog
    .getByText("This frees up to 600.0 kB on 2 boxes.")
    .or(dialog.getByText(/^This frees up to 60\d/))
    .waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  expect(await page.evaluate("document.activeElement.ariaLabel")).toBe("Delete small:latest");
  await page.keyboard.press("Enter");
  await dialog.getByRole("checkbox", { name: /gpu-2/ }).uncheck();
  await dialog.getByRole("button", { name: "Delete from gpu-1" }).click();
  await page.getByText(/^small:latest is deleted from gpu-1: .* freed/).waitFor();
  await row(page, "small:latest").getByText("gpu-2").waitFor();
  await row(other, "small:latest").getByText("gpu-2").waitFor();
  expect(await boxesWith("small:latest")).toEqual(["gpu-2"]);
});

test("an active model that somebody else sets is shown when the user comes back to the page", async () => {
  const page = await open();
  const science = page.getByRole("listitem").filter({ hasText: "Science" });
  await science.getByText("none").waitFor();
  expect((await server.call("POST", "/v1/active-models", { type: "science", model: "phi4" })).status).toBe(200);
  await page.evaluate("dispatchEvent(new Event('focus'))");
  await science.getByText("phi4:latest").waitFor();
});

test("a copy frees nothing, and both are deleted together", async () => {
  const page = await open();
  await row(page, "phi4:latest").getByRole("link").click();
  await page.getByRole("heading", { name: "phi4:latest", level: 1 }).waitFor();
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByLabel("Second name").fill("phi4:backup");
  await page.keyboard.press("Enter");
  await page.getByText("Copied phi4:latest to phi4:backup on 2 boxes").waitFor();
  await page.getByRole("link", { name: "Models" }).first().click();
  await page.getByRole("button", { name: "Delete phi4:backup" }).click();
  await page.getByText("frees nothing: shared with phi4:latest").first().waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("checkbox", { name: "Select phi4:backup" }).check();
  await page.getByRole("checkbox", { name: "Select phi4:latest" }).check();
  await page.getByRole("button", { name: "Delete selected" }).click();
  await page.getByText("phi4:latest is the platform's model for text.").waitFor();
  await page.getByText("phi4:latest is the platform's model for science.").waitFor();
  await page.getByRole("button", { name: "Delete from 2 boxes" }).click();
  await row(page, "phi4:backup").waitFor({ state: "detached" });
  expect([...(await boxesWith("phi4:latest")), ...(await boxesWith("phi4:backup"))]).toEqual([]);
  expect(await page.getByRole("region", { name: "Selected models" }).count()).toBe(0);
});

test("the keyboard alone pulls a model and deletes it", async () => {
  const page = await open();
  await row(page, "small:latest").waitFor();
  const focused = async (): Promise<string> =>
    String(await page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent"));
  /** As somebody does who sees where the focus is. */
  const tabTo = async (name: string, key = "Tab"): Promise<void> => {
    for (let count = 0; count < 80; count++) {
      if ((await focused()).trim() === name) return;
      await page.keyboard.press(key);
    }
    throw new Error(`${key} does not lead to "${name}"`);
  };
  await page.evaluate("clicks = 0; addEventListener('pointerdown', () => (clicks += 1), true)");
  await tabTo("Pull a model");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Pull a model" }).waitFor();
  await page.keyboard.type("keys");
  await page.keyboard.press("Enter");
  await page.getByText(/^Pulling keys on gpu-/).waitFor();
  await row(page, "keys:latest")
    .getByText(/gpu-\d/)
    .waitFor();
  await tabTo("Delete keys:latest");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Delete keys:latest?" }).waitFor();
  const [box] = await boxesWith("keys:latest");
  await tabTo(`Delete from ${box}`);
  await page.keyboard.press("Enter");
  await row(page, "keys:latest").waitFor({ state: "detached" });
  expect(await boxesWith("keys:latest")).toEqual([]);
  // The page is usable after it: the focus is not lost in what is gone.
  await tabTo("Pull a model", "Shift+Tab");
});

test("a viewer sees the models and has no control that changes anything", async () => {
  const page = await open("viewer");
  await row(page, "small:latest").waitFor();
  const names = await page.getByRole("button").allTextContents();
  expect(names.filter((name) => /pull|delete|set|copy|all/i.test(name))).toEqual([]);
  expect(await page.getByRole("checkbox").count()).toBe(0);
  await row(page, "small:latest").getByRole("link").click();
  await page.getByRole("heading", { name: "Where" }).waitFor();
  expect(await page.locator("main").getByRole("button").count()).toBe(0);
});

test("the name of a model that is HTML is shown as text everywhere, also in the dialogs", async () => {
  const nowMs = Date.now();
  const state = new FleetBox(1, nowMs).next(nowMs);
  const details = { family: HOSTILE, parameter_size: HOSTILE, quantization_level: HOSTILE };
  const models = state.models?.slice(0, 1).map((model) => ({ ...model, name: HOSTILE, details }));
  site.write("gpu_status/evil_status.json", { ...state, agent: "evil", models });
  const page = await open();
  const evil = page.getByRole("row").filter({ hasText: HOSTILE });
  await evil.waitFor();
  await page.getByRole("button", { name: `Delete ${HOSTILE}` }).click();
  await page.getByRole("dialog").getByText(HOSTILE).first().waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Set the model for science" }).click();
  await page.getByRole("dialog").getByText(HOSTILE).waitFor();
  await page.keyboard.press("Escape");
  await evil.getByRole("link").click();
  await page.getByRole("heading", { name: "Details" }).waitFor();
  expect(await page.getByText(HOSTILE).count()).toBeGreaterThanOrEqual(4);
  expect(await page.locator("img").count()).toBe(0);
});

test("no page asked another server, broke a rule of its policy, or failed", () => {
  for (const { watched } of opened) {
    expect(watched.problems).toEqual([]);
    expect(watched.outside(server.url)).toEqual([]);
  }
});
