// The console's panel of the desired state in a real browser: each state that gpu-server shows, as its document says it.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { type DesiredDocument, NOTHING_DESIRED } from "#src/documents/models/desired.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";
import { cachedBinary } from "../../../scripts/binaries.ts";
import { violationsOf } from "../site/axe.ts";
import { openBrowser, Watched } from "../site/browser.ts";
import { pull, signIn } from "../site/console_page.ts";
import { pictured } from "../site/pictures.ts";

const PHI = { name: "phi4:latest", layers: [200_000, 1000] };
const SMALL = { name: "small:latest", layers: [300_000, 800] };
const LONG = { name: "long:latest", layers: [40_000_000, 500] };
const HOSTILE = '<img src=x onerror="document.title=1">';
const NARROW = { viewport: { width: 320, height: 760 }, colorScheme: "dark" } as const;
const SINCE = "2026-01-01T00:00:00.000Z";

let site: ProcessSite;
let browser: Browser;
let program: string;
let server: HttpServer;
const opened: { page: Page; watched: Watched }[] = [];

beforeAll(async () => {
  [program, browser] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
  site = new ProcessSite();
  const ollama = await site.ollama({ catalog: [LONG, SMALL], installed: [PHI], bytesPerSecond: 1_000_000 });
  await site.agent("gpu-1", ollama.url);
  server = await site.server([], program);
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

/** @param shown undefined: what the server itself says */
async function open(shown: Partial<DesiredDocument> | undefined, look: object = {}): Promise<Page> {
  const page = await (await browser.newContext(look)).newPage();
  page.setDefaultTimeout(10_000);
  const watched = await Watched.over(page);
  const body = JSON.stringify({ ...NOTHING_DESIRED, file: "/etc/gpu-courier/fleet.yaml", models: 3, ...shown });
  if (shown !== undefined)
    await page.route("**/v1/desired", async (route) => await route.fulfill({ contentType: "application/json", body }));
  await signIn(page, server, "#/models", "viewer");
  await page.getByRole("link", { name: "phi4:latest" }).waitFor();
  opened.push({ page, watched });
  return page;
}

function panel(page: Page) {
  return page.getByRole("region", { name: "Desired state" });
}

/** The page looks again when somebody comes back to it, and otherwise every 30 s. */
async function seen(page: Page, words: string | RegExp): Promise<void> {
  const look = async (): Promise<boolean> => {
    await page.evaluate("dispatchEvent(new Event('focus'))");
    return await panel(page).getByText(words).isVisible();
  };
  await until(look, String(words), 30_000, 500);
}

function drift(agent: string, model: string, more: Partial<DesiredDocument["drift"][number]> = {}) {
  return { agent, model, action: "pull" as const, since: SINCE, job: null, reason: null, ...more };
}

test("without a file there is no panel", async () => {
  const page = await open(undefined);
  await page.getByRole("heading", { name: "Active models" }).waitFor();
  expect(await panel(page).count()).toBe(0);
});

test("each difference is shown with its pull, its reason and its age, wide and narrow", async () => {
  const job = await pull(server, "long", "gpu-1");
  const differences = [
    drift("gpu-1", "long:latest", { job }),
    drift("gpu-2", "phi4:latest", { reason: "12.0 GB needed, 4.0 GB free: asked again in 8 min" }),
    drift("gpu-2", "old:latest", { action: "delete" }),
    drift("gpu-2", HOSTILE, { action: "update", reason: HOSTILE }),
  ];
  const shown: Partial<DesiredDocument> = {
    status: "active",
    checked_at: new Date().toISOString(),
    drift: differences,
    unknown: ["gpu-3", "gpu-4"],
  };
  for (const [name, look] of [
    ["desired", {}],
    ["desired-narrow", NARROW],
  ] as const) {
    const page = await open(shown, look);
    await panel(page).getByText("In force", { exact: true }).waitFor();
    await panel(page).getByText("/etc/gpu-courier/fleet.yaml").waitFor();
    await panel(page).getByText("gpu-[3-4] away: compared when back").waitFor();
    await panel(page).getByText("12.0 GB needed, 4.0 GB free: asked again in 8 min").waitFor();
    await panel(page).getByText("waiting for its turn").waitFor();
    expect(await panel(page).getByText(HOSTILE).count()).toBe(2);
    expect(await panel(page).getByRole("row").count()).toBe(5);
    expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBe(0);
    expect(await violationsOf(page)).toEqual([]);
    await panel(page).scrollIntoViewIfNeeded();
    await pictured(page, name);
    await panel(page).getByRole("link", { name: "Pulling" }).click();
    await page.getByRole("heading", { name: "long:latest" }).waitFor();
  }
  await server.call("POST", `/v1/jobs/${job}/cancel`);
});

test("a mistake in the file is shown with its line, and what stays in force", async () => {
  const problem = '/etc/gpu-courier/fleet.yaml:3: "GPU 2" names no boxes';
  const page = await open({ status: "active", checked_at: new Date().toISOString(), problem }, NARROW);
  await panel(page).getByText(problem).waitFor();
  await panel(page)
    .getByText(/^The last version without a mistake stays in force/)
    .waitFor();
  await panel(page).getByText("Every reporting box has the models that the file names").waitFor();
  expect(await violationsOf(page)).toEqual([]);
  await pictured(page, "desired-problem-narrow");
  const first = await open({ status: "waiting", problem });
  await panel(first).getByText("No file is in force yet").waitFor();
  await panel(first)
    .getByText(/^Nothing is changed until the file can be read/)
    .waitFor();
  expect(
    await panel(first)
      .getByText(/^Every reporting box/)
      .count(),
  ).toBe(0);
});

test("a server with a file brings a box to it, and the panel shows that and a later mistake without a reload", async () => {
  const file = join(site.dir, "fleet.yaml");
  await Bun.write(file, "models:\n  - name: small\n    on: gpu-1\n  - name: phi4\n    on: gpu-1\n");
  const kept = await site.server(["--desired", file], program);
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(10_000);
  await signIn(page, kept, "#/models");
  await seen(page, "Every reporting box has the models that the file names");
  await panel(page).getByText(`${file}, 2 models.`).waitFor();
  await page.getByRole("link", { name: "small:latest" }).waitFor();
  await Bun.write(file, "models:\n  - name: small\n    on: GPU 2\n");
  await seen(page, /fleet\.yaml:3: /);
  await pictured(page, "desired-real");
});

test("no page asked another server, broke a rule of its policy, or failed", () => {
  for (const { watched } of opened) {
    expect(watched.problems).toEqual([]);
    expect(watched.outside(server.url)).toEqual([]);
  }
});
