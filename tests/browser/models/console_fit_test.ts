// The console's verdicts on whether a model fits the GPUs of a box, in a real browser: a real gpu-server, and boxes of this process.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { FleetBox } from "#sim/fleet/box.ts";
import { Registry } from "#sim/registry/registry.ts";
import { type HttpServer, ProcessSite } from "#tests/process/site/site.ts";
import { cachedBinary } from "../../../scripts/binaries.ts";
import { violationsOf } from "../site/axe.ts";
import { openBrowser } from "../site/browser.ts";
import { OpenedPages } from "../site/opened_pages.ts";
import { pictured } from "../site/pictures.ts";

const NARROW = { viewport: { width: 320, height: 760 }, colorScheme: "dark" } as const;
/** The model is far smaller than what the estimate adds for each GPU. */
const BOXES = {
  large: { gpu: 24e9, memory: 64e9 },
  middle: { gpu: 0.2e9, memory: 64e9 },
  small: { gpu: 0.2e9, memory: 0.1e9 },
} as const;

let registry: Registry;
let site: ProcessSite;
let browser: Browser;
let server: HttpServer;
let phi: string;
const pages = new OpenedPages();

beforeAll(async () => {
  const [program, chromium] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
  browser = chromium;
  registry = await Registry.start();
  phi = registry.offer("phi", { layers: [200_000, 1000] });
  site = new ProcessSite();
  for (const name of [...Object.keys(BOXES), "plain"]) publish(name);
  server = await site.server(["--allow-registry", registry.host, "--insecure-registry", registry.host], program);
});
afterAll(async () => {
  await browser.close();
  await site.close();
  await registry.stop();
});

/** All have the model; `plain` has no GPU. */
function publish(name: string): void {
  const state = new FleetBox(1, Date.now()).next(Date.now());
  const { gpu, memory } = Object.entries(BOXES).find(([key]) => key === name)?.[1] ?? { gpu: null, memory: 64e9 };
  const gpus = (state.gpus ?? [])
    .slice(0, 1)
    .map((each) => ({ ...each, memory_total_bytes: gpu, memory_used_bytes: 0 }));
  const models = state.models?.slice(0, 1).map((model) => ({ ...model, name: phi }));
  const own = { agent: name, gpus: gpu === null ? [] : gpus, models, running: [], jobs: [] };
  const total = { total_bytes: memory, available_bytes: memory };
  site.write(`gpu_status/${name}_status.json`, { ...state, ...own, memory: total });
}

async function open(at: string, role: "gp" | "viewer" = "gp", look: object = {}): Promise<Page> {
  return await pages.open(browser, server, { at, role, look });
}

test("the dialog shows for each box whether the model fits its GPUs, with what that assumes", async () => {
  for (const [name, look] of [
    ["fit", {}],
    ["fit-narrow", NARROW],
  ] as const) {
    const page = await open("#/models", "gp", look);
    await page.getByRole("button", { name: "Pull a model" }).click();
    const dialog = page.getByRole("dialog", { name: "Pull a model" });
    await page.getByLabel("Model name").fill(registry.offer(`new-${name}`, { layers: [200_000, 1000] }));
    const box = (of: string) => dialog.locator("label").filter({ hasText: of });
    await box("large").getByText("GPU: fits", { exact: true }).waitFor();
    await box("middle").getByText("GPU: fits partly: the rest runs on the CPU").waitFor();
    await box("small").getByText("GPU: does not fit").waitFor();
    await box("plain").getByText("GPU: unknown").waitFor();
    expect(await box("large").getByText("GPU: fits").getAttribute("title")).toMatch(
      /^About 500\.\d MB needed, 24\.0 GB/,
    );
    await box("large")
      .getByText(/^fits, leaves/)
      .waitFor();
    await dialog.getByText(/^GPU verdicts are an estimate: weights, 10 % for a context of 4096 tokens/).waitFor();
    expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBe(0);
    expect(await violationsOf(page)).toEqual([]);
    await dialog.getByText(/^GPU verdicts are/).scrollIntoViewIfNeeded();
    await pictured(page, name);
  }
});

test("no registry is asked at each keystroke, and a name that it does not have is reported", async () => {
  const page = await open("#/models");
  await page.getByRole("button", { name: "Pull a model" }).click();
  const asked = () => pages.requests.at(-1)?.filter((each) => each.includes("/v1/fit"));
  // The page's time stands still while somebody types.
  await page.clock.install();
  await page.clock.pauseAt(Date.now() + 1000);
  await page.getByLabel("Model name").pressSequentially(`${registry.host}/library/nothing`);
  await page.clock.runFor(400);
  expect(asked()).toEqual([]);
  await page.clock.runFor(200);
  await page.clock.resume();
  await page.getByRole("dialog").getByText("Its registry has no such model: check the name and tag.").waitFor();
  expect(asked()).toHaveLength(1);
  expect(registry.manifestRequests("nothing")).toBe(1);
});

test("the page of a model shows it for each of its boxes, to a viewer too", async () => {
  const page = await open(`#/models/${encodeURIComponent(phi)}`, "viewer");
  const boxes = page.getByRole("region", { name: "Where" });
  const box = (of: string) => boxes.getByRole("listitem").filter({ hasText: of });
  await box("large").getByText("GPU: fits", { exact: true }).waitFor();
  await box("small").getByText("GPU: does not fit").waitFor();
  await boxes.getByText(/^GPU verdicts are an estimate/).waitFor();
  expect(await violationsOf(page)).toEqual([]);
  await pictured(page, "fit-model");
});

test("no page asked another server, broke a rule of its policy, or failed", () => {
  expect(pages.problems).toEqual([]);
});
