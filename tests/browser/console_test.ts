// The console of the compiled gpu-server in a real browser, before real agents: what is shown follows what happens.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { FleetBox } from "#sim/fleet/box.ts";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { isoTime } from "#src/base/clock.ts";
import { newPull } from "#src/protocol.ts";
import { type HttpServer, ProcessSite, type Running, until } from "#tests/process/site/site.ts";
import { cachedBinary } from "../../scripts/binaries.ts";
import { openBrowser, Watched } from "./site/browser.ts";
import { pull, signIn } from "./site/console_page.ts";

const PHI = { name: "phi4:latest", layers: [200_000, 1000] };
const LONG = { name: "long:latest", layers: [40_000_000, 500] };
const SPEED = 2_000_000;
/** The target is 2 s on an idle machine. */
const RIGHT_WITHIN_MS = 10_000;
const HOSTILE = '<img src=x onerror="document.title=1">';

let site: ProcessSite;
let browser: Browser;
let program: string;
let server: HttpServer;
let ollama: SimulatedOllama;
let agent: Running;
const opened: { page: Page; watched: Watched }[] = [];

beforeAll(async () => {
  [program, browser] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
  site = new ProcessSite();
  ollama = await site.ollama({ catalog: [PHI, LONG], installed: [PHI], bytesPerSecond: SPEED });
  agent = await site.agent("gpu-1", ollama.url);
  server = await site.server([], program);
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

/** A page of a browser of its own, signed in. */
async function open(at = "", role: "gp" | "viewer" = "gp"): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  const watched = await Watched.over(page);
  await signIn(page, server, at, role);
  opened.push({ page, watched });
  return page;
}

function bar(page: Page) {
  return page.getByRole("progressbar", { name: "long:latest on gpu-1" });
}

async function percentOf(page: Page): Promise<number> {
  return Number(await bar(page).getAttribute("aria-valuenow"));
}

/** How far the bar is filled, as it is seen. */
async function filledPercent(page: Page): Promise<number> {
  const filled = await page.evaluate(`(() => {
    const bar = document.querySelector("[role=progressbar][aria-label='long:latest on gpu-1']");
    const [whole, fill] = [bar, bar.firstElementChild].map((each) => each.getBoundingClientRect());
    return (100 * (fill.right - whole.left)) / whole.width;
  })()`);
  return Number(filled);
}

test("a wrong token is refused in words, a right one signs in, and the session survives a reload", async () => {
  const page = await (await browser.newContext()).newPage();
  await page.goto(server.url);
  await page.locator("input[type=password]").fill("gpuc_wrong");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: /token/i }).waitFor();
  await page.locator("input[type=password]").fill(server.tokens.gp);
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "gpu-1" }).waitFor();
  // No script of the page can read what signs it in.
  expect(await page.evaluate("[document.cookie, localStorage.length].join()")).toBe(",0");
  await page.reload();
  await page.getByRole("link", { name: "gpu-1" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.locator("input[type=password]").waitFor();
  await page.reload();
  await page.locator("input[type=password]").waitFor();
  await page.context().close();
});

test("a sign-in link signs a browser in once, and its code leaves the address", async () => {
  const { port } = new URL(server.url);
  const options = ["--state-dir", site.stateDirOfServer(server), "--port", port];
  const link = (await site.run(program, ["sign-in-link", "gp", ...options])).stdout.trim();
  const page = await (await browser.newContext()).newPage();
  await page.goto(link);
  await page.getByRole("link", { name: "gpu-1" }).waitFor();
  expect(page.url()).toBe(`${server.url}/#/`);
  const other = await (await browser.newContext()).newPage();
  await other.goto(link);
  await other.getByText("This sign-in link is no longer valid").waitFor();
  const next = (await site.run(program, ["sign-in-link", "viewer", ...options])).stdout.trim();
  await page.goto("about:blank");
  await page.goto(next);
  await page.getByText('This browser is signed in as "gp"').waitFor();
  await page.getByRole("link", { name: "gpu-1" }).waitFor();
  for (const each of [page, other]) await each.context().close();
});

test("a pull is shown live in two tabs, survives a reload, and a cancel in one is seen in the other", async () => {
  const first = await open("#/jobs");
  const second = await first.context().newPage();
  await second.goto(`${server.url}/#/boxes/gpu-1`);
  await pull(server, "long");
  await until(async () => (await percentOf(first)) > 3, "the bar moves");
  const before = await percentOf(first);
  await first.reload();
  await until(async () => (await percentOf(first)) > before, "the bar goes on after a reload");
  await until(
    async () => Math.abs((await filledPercent(first)) - (await percentOf(first))) < 3,
    "the bar is filled so far",
  );
  await first.getByText(/ MB\/s \d+ (?:s|min).* left/).waitFor();
  await first.locator(".job-bar svg path.line").waitFor();
  await bar(second).waitFor();
  await second.getByRole("button", { name: "Cancel the pull of long:latest on gpu-1" }).click();
  const row = first.getByRole("table", { name: "Jobs that ended" }).getByRole("row").filter({ hasText: "long:latest" });
  await row.getByText("Canceled").first().waitFor();
  await bar(first).waitFor({ state: "detached" });
  await row.first().getByRole("button", { name: "Retry the pull of long:latest on gpu-1" }).click();
  await bar(first).waitFor();
  await first.getByRole("button", { name: /^Cancel the pull/ }).click();
  await bar(first).waitFor({ state: "detached" });
});

test("a viewer sees everything and has no control that changes anything", async () => {
  ollama.load("phi4:latest");
  const page = await open("#/boxes/gpu-1", "viewer");
  await page.getByRole("heading", { name: "In memory" }).waitFor();
  await page.getByText("phi4:latest").first().waitFor();
  await page.getByText("read-only").waitFor();
  const names = await page.getByRole("button").allTextContents();
  expect(names.toSorted()).toEqual(["Check this box", "Measure again", "Sign out"]);
  await page.goto(`${server.url}/#/jobs`);
  await page.getByRole("table", { name: "Jobs that ended" }).waitFor();
  expect(await page.getByRole("button", { name: /^(?:Retry|Cancel) the/ }).count()).toBe(0);
});

test("a loaded model is shown without a reload, and unloading it is shown at once", async () => {
  const page = await open("#/boxes/gpu-1");
  ollama.load("phi4:latest");
  const unload = page.getByRole("button", { name: "Unload phi4:latest" });
  await unload.click({ timeout: 20_000 });
  await page.getByText("phi4:latest is unloaded from gpu-1").waitFor();
  await unload.waitFor({ state: "detached" });
});

test("the checks of a box are shown when somebody asks for them", async () => {
  const page = await open("#/boxes/gpu-1");
  await page.getByRole("button", { name: "Check this box" }).click();
  await page.getByText(/Round trip OK/).waitFor();
});

test("texts of a box that are HTML are shown as text", async () => {
  const nowMs = Date.now();
  const state = new FleetBox(1, nowMs).next(nowMs);
  const failed = { state: "failed", code: "internal", error: HOSTILE, ended_at: isoTime(nowMs) } as const;
  const evil = {
    ...state,
    agent: "evil",
    labels: { rack: HOSTILE },
    agent_version: HOSTILE,
    status: "degraded",
    degraded_reason: HOSTILE,
    models: state.models?.map((model, index) => (index === 0 ? { ...model, name: HOSTILE } : model)),
    running: [{ name: HOSTILE, size: 1, size_vram: 1, expires_at: HOSTILE }],
    gpus: state.gpus.map((gpu) => ({ ...gpu, name: HOSTILE })),
    jobs: [{ ...newPull(Bun.randomUUIDv7(), "evil", HOSTILE), ...failed, requested_by: HOSTILE }],
  };
  site.write("gpu_status/evil_status.json", evil);
  const page = await open("#/boxes");
  await page.locator(".label", { hasText: HOSTILE }).waitFor();
  await page.goto(`${server.url}/#/boxes/evil`);
  const seen = async (count: number): Promise<boolean> =>
    (await page.getByText(HOSTILE, { exact: false }).count()) >= count;
  await until(async () => await seen(7), "everything that the box says is shown");
  await page.goto(`${server.url}/#/jobs`);
  await page.getByRole("row").filter({ hasText: "evil" }).getByText(HOSTILE).first().waitFor();
  expect(await page.locator("img").count()).toBe(0);
  expect(await page.title()).toBe("Jobs · gpu-courier");
});

test("a box that stops and comes back is shown as it is, with its age", async () => {
  const page = await open("#/boxes");
  const row = page.getByRole("row").filter({ hasText: "gpu-1" });
  await row.getByText("Online").waitFor();
  await agent.stop();
  await row.getByText("Stopped").waitFor();
  await row.getByText(/second|just now/).waitFor();
  await page.goto(`${server.url}/#/boxes/gpu-1`);
  await page.getByText(/Last seen (?:just now|\d+ seconds? ago)/).waitFor();
  await page.getByText(/1 model, .* as last reported/).waitFor();
  await page.goBack();
  agent = await site.agent("gpu-1", ollama.url);
  await row.getByText("Online").waitFor();
});

test("the keyboard alone leads to a box and back, and the focus follows", async () => {
  const page = await open("#/boxes");
  await page.keyboard.press("/");
  await page.keyboard.type("gpu-1");
  await page.getByRole("row").nth(1).waitFor();
  await page.getByRole("link", { name: "gpu-1" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "gpu-1", level: 1 }).waitFor();
  await until(
    async () => (await page.evaluate("document.activeElement.id")) === "main",
    "the focus is in the new view",
  );
  await page.goBack();
  await page.getByRole("heading", { name: "Boxes", level: 1 }).waitFor();
  expect(await page.getByRole("searchbox").inputValue()).toBe("gpu-1");
});

test("after the stream is cut, and after the server was restarted, the page is right again", async () => {
  const page = await open("#/jobs");
  await page.context().setOffline(true);
  // The browser keeps a stream that is open: the page notices when it is silent, or when the network is back.
  await server.call("POST", "/v1/jobs", { kind: "pull", model: "phi4", agents: ["gpu-1"] });
  const row = page.getByRole("row").filter({ hasText: "phi4:latest" });
  await page.context().setOffline(false);
  const startedMs = performance.now();
  await row.first().waitFor({ timeout: RIGHT_WITHIN_MS });
  const port = new URL(server.url).port;
  server = await site.restart(server, program, ["--port", port]);
  await page.locator(".contact.live").waitFor({ timeout: RIGHT_WITHIN_MS });
  await pull(server, "long");
  await bar(page).waitFor({ timeout: RIGHT_WITHIN_MS });
  process.stderr.write(`caught up ${Math.round(performance.now() - startedMs)} ms after the cut, restart included\n`);
  await page.getByRole("button", { name: /^Cancel the pull/ }).click();
});

test("no page asked another server, broke a rule of its policy, or failed", () => {
  for (const { watched } of opened) {
    expect(watched.problems).toEqual([]);
    expect(watched.outside(server.url)).toEqual([]);
  }
});
