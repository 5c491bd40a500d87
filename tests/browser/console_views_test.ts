// Every view of the console, looked at by axe in light and dark, wide and narrow.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser } from "playwright-core";
import { cachedBinary } from "../../scripts/binaries.ts";
import { violationsOf } from "./site/axe.ts";
import { isFull, openBrowser } from "./site/browser.ts";
import { signIn } from "./site/console_page.ts";
import { ShownSite } from "./site/shown_site.ts";

const SIZES = { wide: { width: 1280, height: 800 }, narrow: { width: 360, height: 740 } } as const;
const SHORT = [
  ["light", "wide"],
  ["dark", "narrow"],
] as const;
const LOOKS = isFull ? ([...SHORT, ["dark", "wide"], ["light", "narrow"]] as const) : SHORT;

let browser: Browser;
let site: ShownSite;

beforeAll(async () => {
  const [program, opened] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
  browser = opened;
  site = await ShownSite.open(program);
});
afterAll(async () => {
  await browser.close();
  await site[Symbol.asyncDispose]();
});

/** Controls that are not within their card or panel, and fields of more than a line. */
const MISPLACED = `[...document.querySelectorAll("main button, main input, main select, main .choice, dialog input")].filter((each) => {
  const { right, bottom, height } = each.getBoundingClientRect();
  if (each.matches("input") && height > 60) return true;
  if (each.closest("dialog") !== null) return false;
  const around = each.closest(".row, .panel")?.getBoundingClientRect();
  return around !== undefined && (right > around.right || bottom > around.bottom);
}).map(({ outerHTML }) => outerHTML)`;

describe("every view", () => {
  test.each(LOOKS)(
    "axe finds nothing in any view, %s and %s, and nothing is wider than the window",
    async (colorScheme, size) => {
      const context = await browser.newContext({ viewport: SIZES[size], colorScheme });
      const page = await context.newPage();
      // Only the script of axe itself is added: the page's own rules for scripts stay tested elsewhere.
      await page.goto(site.server.url);
      await page.locator("input[type=password]").waitFor();
      const found = new Map([["sign in", await violationsOf(page)]]);
      await signIn(page, site.server, "#/boxes");
      for (const [at, ready] of [
        ["#/boxes", "a.row-link"],
        ["#/boxes?q=nothing-fits", ".empty"],
        ["#/boxes/berlin-a1", ".list .strong"],
        ["#/boxes/lyon-2", "text=as last reported"],
        ["#/jobs", "[role=progressbar]"],
        ["#/models", "a.row-link"],
        ["#/models/phi4:14b", ".list .strong"],
        ["#/mirror", ".mirrored li"],
        ["#/access", "[aria-label='Targets of webhooks'] li"],
        ["#/setup", ".copy-text"],
      ] as const) {
        await page.goto(`${site.server.url}/${at}`);
        await page.locator(ready).first().waitFor();
        found.set(at, await violationsOf(page));
        expect([at, await page.evaluate("document.documentElement.scrollWidth - innerWidth")]).toEqual([at, 0]);
        expect([at, await page.evaluate(MISPLACED)]).toEqual([at, []]);
      }
      for (const [at, button] of [
        ["#/models", "Pull a model"],
        ["#/models", "Set the model for text"],
        ["#/models/phi4:14b", "Delete"],
        ["#/models/phi4:14b", "Copy"],
        ["#/mirror", "Fetch a model"],
        ["#/mirror", "Remove phi4:14b"],
        ["#/access", "Create a token"],
        ["#/access", "Revoke grafana"],
      ] as const) {
        await page.goto(`${site.server.url}/${at}`);
        await page.getByRole("button", { name: button, exact: true }).click();
        await page.getByRole("dialog").waitFor();
        found.set(button, await violationsOf(page));
        expect([button, await page.evaluate(MISPLACED)]).toEqual([button, []]);
        await page.keyboard.press("Escape");
      }
      await page.goto(`${site.server.url}/#/setup`);
      await page.getByRole("button", { name: "Check all" }).click();
      await page.locator(".checks li").first().waitFor();
      found.set("doctor", await violationsOf(page));
      await page.goto(`${site.server.url}/#/jobs`);
      await page.locator(".job-name a").first().click();
      await page.getByRole("heading", { name: "Details" }).waitFor();
      found.set("a job", await violationsOf(page));
      await context.close();
      expect([...found].filter(([, violations]) => violations.length > 0)).toEqual([]);
    },
  );
});
