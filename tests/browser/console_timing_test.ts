// How long it takes from the end of a job on its box until the console shows it.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser } from "playwright-core";
import { type HttpServer, ProcessSite } from "#tests/process/site/site.ts";
import { cachedBinary } from "../../scripts/binaries.ts";
import { isFull, openBrowser } from "./site/browser.ts";
import { pull, signIn } from "./site/console_page.ts";

const ROUNDS = isFull ? 20 : 5;
/** The target holds where nothing else needs the machine: in the long form. */
const MOST_MS = isFull ? 1_000 : 5_000;

let browser: Browser;
let site: ProcessSite;
let server: HttpServer;

beforeAll(async () => {
  const [program, opened] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
  browser = opened;
  site = new ProcessSite();
  const catalog = Array.from({ length: ROUNDS }, (_, round) => ({
    name: `tiny${round}:latest`,
    layers: [90_000, 100],
  }));
  const ollama = await site.ollama({ catalog, bytesPerSecond: 300_000 });
  await site.agent("gpu-1", ollama.url);
  server = await site.server([], program);
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

test(`the end of a job on its box is shown within ${MOST_MS} ms (p95)`, async () => {
  const page = await browser.newPage();
  await signIn(page, server, "#/jobs");
  const delays: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const id = await pull(server, `tiny${round}`);
    const shownMs: unknown = await page.evaluate(`new Promise((resolve) => {
      const link = '[role=table] a[href="#/jobs/${id}"]';
      const look = () => document.querySelector(link) ? resolve(Date.now()) : requestAnimationFrame(look);
      look();
    })`);
    const { answer } = await server.call("GET", `/v1/jobs/${id}`);
    expect(answer["state"]).toBe("succeeded");
    delays.push(Number(shownMs) - Date.parse(String(answer["ended_at"])));
  }
  const sorted = delays.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * ROUNDS) - 1] ?? Number.NaN;
  process.stderr.write(`${ROUNDS} ends of jobs shown: median ${at(0.5)} ms, p95 ${at(0.95)} ms, most ${at(1)} ms\n`);
  expect(at(0.95)).toBeLessThan(MOST_MS);
});
