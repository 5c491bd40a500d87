// The console before 1,000 boxes, 100 of which pull: how soon it shows them, and that it stays smooth all the time.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { until } from "#tests/process/site/site.ts";
import { FleetSite } from "../../scripts/bench/fleet/site.ts";
import { isFull, openBrowser } from "./site/browser.ts";
import { signInWith } from "./site/console_page.ts";
import { longest, scriptTasks, type Task } from "./site/trace.ts";

const BOXES = 1_000;
/** Each tenth box pulls all the time, and publishes its progress twice a second. */
const PULLS = BOXES / 10;
/** So many of them the view of jobs shows at most. */
const MOST_LINES = 40;
const viewport = { width: 1280, height: 800 };
/** The targets themselves hold where nothing else needs the machine: in the long form. */
const SLACK = isFull ? 1 : 5;
const FIRST_VIEW_MS = 1_000;
/** Longer ones are felt. */
const LONG_TASK_MS = 50;
const ROUNDS = isFull ? 20 : 3;
const FOLLOWED_MS = isFull ? 10_000 : 1_500;
/** A page that follows runs more scripts than that; one that draws itself without need runs many more. */
const FEWEST_TASKS = FOLLOWED_MS / 300;
const BUNDLE_BYTES = 100_000;

let browser: Browser;
let fleet: FleetSite;
let dir: string;
let storageState: Awaited<ReturnType<ReturnType<Page["context"]>["storageState"]>>;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "gpu-courier-console-"));
  [browser, fleet] = await Promise.all([openBrowser(), FleetSite.open(dir, BOXES, true)]);
  const page = await browser.newPage();
  await signInWith(page, fleet.url, fleet.token);
  storageState = await page.context().storageState();
  await page.context().close();
});
afterAll(async () => {
  await browser.close();
  await fleet.close();
  await rm(dir, { recursive: true });
});

/** Signed in, with nothing in its cache. It notes itself when it has drawn the boxes. */
async function newPage(): Promise<Page> {
  const page = await (await browser.newContext({ viewport, storageState })).newPage();
  await page.addInitScript(`(() => {
    const isShown = () => document.querySelectorAll("a.row-link").length > 10 && document.body.textContent.includes("All 1,000");
    const look = () => requestAnimationFrame(isShown() ? () => (globalThis.shownMs = performance.now()) : look);
    look();
  })()`);
  return page;
}

/** From the navigation until the frame after all boxes were drawn, in ms. */
async function firstView(page: Page): Promise<number> {
  await page.goto(fleet.url);
  const shown = await page.evaluate(`new Promise((resolve) => {
    const look = () => globalThis.shownMs === undefined ? setTimeout(look, 10) : resolve(shownMs);
    look();
  })`);
  return Number(shown);
}

test(`${BOXES} boxes are shown within ${FIRST_VIEW_MS * SLACK} ms, by less than ${BUNDLE_BYTES} bytes of page`, async () => {
  const times: number[] = [];
  let bytes = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const page = await newPage();
    times.push(await firstView(page));
    bytes = Number(
      await page.evaluate(`[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .filter(({ name }) => !name.includes("/v1/")).reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)`),
    );
    await page.context().close();
  }
  const sorted = times.map(Math.round).toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * ROUNDS) - 1] ?? Number.NaN;
  process.stderr.write(`${BOXES} boxes: ${ROUNDS} first views, median ${at(0.5)} ms, p95 ${at(0.95)} ms; `);
  process.stderr.write(`page with script and styles ${bytes} bytes compressed\n`);
  expect(at(0.95)).toBeLessThan(FIRST_VIEW_MS * SLACK);
  expect(bytes).toBeWithin(10_000, BUNDLE_BYTES);
});

/** Of each pull that runs, by its id, as the server knows it. */
async function pulledBytes(): Promise<ReadonlyMap<string, number>> {
  const { jobs } = await fleet.client.json("/v1/jobs?state=running&limit=1000");
  return new Map(Array.isArray(jobs) ? jobs.map(({ id, completed_bytes: bytes }) => [String(id), Number(bytes)]) : []);
}

function linkTo(page: Page, view: string) {
  return page.getByRole("navigation").getByRole("link", { name: view });
}

/** Looks at a view for a while: everything in it moves by itself. */
async function follow(page: Page, view: string, ready: string): Promise<void> {
  await linkTo(page, view).click();
  await page.locator(ready).first().waitFor();
  await Bun.sleep(FOLLOWED_MS);
}

function report(what: string, tasks: readonly Task[]): void {
  const [first] = longest(tasks, 1);
  const ms = `${first?.cpuMs.toFixed(0)} ms (with interruptions ${first?.wallMs.toFixed(0)} ms): ${first?.what}`;
  const scriptMs = Math.max(...tasks.map((task) => task.scriptMs)).toFixed(0);
  process.stderr.write(`${BOXES} boxes, ${PULLS} pulls, ${what}: longest of ${tasks.length} script tasks ${ms}; `);
  process.stderr.write(`longest script ${scriptMs} ms\n`);
}

test(`no script task takes over ${LONG_TASK_MS * SLACK} ms while ${BOXES} boxes load and ${PULLS} pulls progress`, async () => {
  const page = await newPage();
  const all: Task[] = [];
  for (const [what, act] of [
    ["from the load on", async () => await firstView(page).then(async () => await Bun.sleep(FOLLOWED_MS))],
    ["Jobs", async () => await follow(page, "Jobs", "[role=progressbar]")],
    ["Models", async () => await follow(page, "Models", "a.row-link")],
    ["Boxes", async () => await follow(page, "Boxes", "a.row-link")],
  ] as const) {
    const tasks = await scriptTasks(browser, page, act);
    report(what, tasks);
    expect(tasks.length).toBeGreaterThan(FEWEST_TASKS);
    all.push(...tasks);
  }
  const before = await pulledBytes();
  await until(async () => {
    const now = await pulledBytes();
    // One that ended is followed by the next.
    const moved = [...before].filter(([id, count]) => (now.get(id) ?? Number.POSITIVE_INFINITY) > count);
    return Math.min(moved.length, now.size) > 0.9 * PULLS;
  }, `the ${PULLS} pulls go on`);
  expect(longest(all, 3).map(({ cpuMs, what }) => [cpuMs > LONG_TASK_MS * SLACK, what])).toEqual(
    longest(all, 3).map(({ what }) => [false, what]),
  );
  await page.context().close();
}, 120_000);

test(`filtering, sorting and scrolling ${BOXES} boxes, their models and jobs takes no script task over ${LONG_TASK_MS} ms`, async () => {
  const page = await newPage();
  await firstView(page);
  let rows = 0;
  const lastLine = page.locator(`.job:nth-child(${MOST_LINES})`);
  const tasks = await scriptTasks(browser, page, async () => {
    await page.getByRole("searchbox").pressSequentially("box-9");
    await page.getByRole("button", { name: "All 111" }).waitFor();
    await page.getByRole("searchbox").fill("");
    await page.getByRole("button", { name: "Free disk" }).click();
    await page.getByRole("button", { name: "Status" }).click();
    await page.getByRole("button", { name: "Box" }).click();
    for (let step = 0; step < 60; step++) await page.mouse.wheel(0, 1_000);
    await page.getByRole("link", { name: "box-999" }).waitFor();
    rows = await page.getByRole("row").count();
    await page.getByRole("link", { name: "Models", exact: true }).click();
    await page.getByRole("table", { name: "Models" }).waitFor();
    await page.getByRole("searchbox").pressSequentially("qwen");
    await page.getByRole("button", { name: "Where" }).click();
    await page.getByRole("searchbox").fill("");
    await page.getByRole("button", { name: "Size" }).click();
    await linkTo(page, "Jobs").click();
    await lastLine.waitFor();
    await page.getByRole("searchbox").pressSequentially("box-1");
    await lastLine.waitFor({ state: "detached" });
    await page.getByRole("searchbox").fill("");
    await lastLine.waitFor();
  });
  report(`used, ${rows} rows in the page`, tasks);
  expect(rows).toBeWithin(10, 60);
  expect(tasks.length).toBeGreaterThan(40);
  // Of each task the script: to jump over a screen of rows at each turn of the wheel is mostly painting.
  expect(Math.max(...tasks.map(({ scriptMs }) => scriptMs))).toBeLessThanOrEqual(LONG_TASK_MS);
  await page.context().close();
});
