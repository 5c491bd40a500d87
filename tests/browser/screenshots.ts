// Makes docs/console/*.png: the views of the console, in light, dark and narrow. Needs Chromium. Run it again when the console
// changes: GPU_COURIER_BROWSER=/usr/bin/chromium node scripts/bootstrap.mjs tests/browser/screenshots.ts [FOLDER [NAME…]].
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { cachedBinary, ROOT } from "../../scripts/binaries.ts";
import { openBrowser } from "./site/browser.ts";
import { signIn } from "./site/console_page.ts";
import { ShownSite } from "./site/shown_site.ts";

const [folder = join(ROOT, "docs", "console"), ...names] = process.argv.slice(2);
const MOST_BYTES = 150_000;
const WIDE = { width: 1280, height: 800 };
/** Two layers are larger files. */
const DIALOG = { width: 1100, height: 720 };
const NARROW = { width: 360, height: 740 };
/** Long enough for the chart of a job to have a shape. */
const WATCHED_MS = 12_000;

interface Shot {
  readonly name: string;
  readonly at: string;
  readonly ready: string;
  /** Buttons that are pressed before. */
  readonly press?: readonly string[];
  readonly width: number;
  readonly height: number;
  readonly dark: boolean;
}

const SHOTS: readonly Shot[] = [
  { name: "boxes", at: "#/boxes", ready: "[role=row] a", ...WIDE, dark: false },
  { name: "boxes-dark", at: "#/boxes", ready: "[role=row] a", ...WIDE, dark: true },
  { name: "boxes-narrow", at: "#/boxes", ready: "[role=row] a", ...NARROW, dark: false },
  { name: "box", at: "#/boxes/berlin-a1", ready: "text=Models", ...WIDE, dark: false },
  { name: "box-narrow", at: "#/boxes/berlin-a1", ready: "text=Models", ...NARROW, dark: true },
  { name: "jobs", at: "#/jobs", ready: "[role=progressbar]", ...WIDE, dark: false },
  { name: "jobs-dark", at: "#/jobs", ready: "[role=progressbar]", ...WIDE, dark: true },
  { name: "jobs-narrow", at: "#/jobs", ready: "[role=progressbar]", ...NARROW, dark: false },
  { name: "models", at: "#/models", ready: "[role=row] a", ...WIDE, dark: false },
  { name: "models-dark", at: "#/models", ready: "[role=row] a", ...WIDE, dark: true },
  { name: "models-narrow", at: "#/models", ready: "[role=row] a", ...NARROW, dark: false },
  { name: "model", at: "#/models/phi4:14b", ready: "text=Where", ...WIDE, dark: false },
  { name: "model-narrow", at: "#/models/phi4:14b", ready: "text=Where", ...NARROW, dark: true },
  { name: "mirror", at: "#/mirror", ready: ".mirrored li", ...WIDE, dark: false },
  { name: "mirror-narrow", at: "#/mirror", ready: ".mirrored li", ...NARROW, dark: true },
  { name: "pull", at: "#/models", ready: "[role=row] a", press: ["Pull a model"], ...DIALOG, dark: false },
  { name: "pull-narrow", at: "#/models", ready: "[role=row] a", press: ["Pull a model"], ...NARROW, dark: true },
  { name: "delete", at: "#/models/phi4:14b", ready: "text=Where", press: ["Delete"], ...DIALOG, dark: true },
  { name: "access", at: "#/access", ready: "[role=row]", ...WIDE, dark: false },
  { name: "access-narrow", at: "#/access", ready: "[role=row]", ...NARROW, dark: true },
  { name: "token", at: "#/access", ready: "[role=row]", press: ["Create a token"], ...DIALOG, dark: false },
  { name: "setup", at: "#/setup", ready: ".copy-text", press: ["Check all"], ...WIDE, dark: false },
  { name: "setup-narrow", at: "#/setup", ready: ".copy-text", press: ["Check all"], ...NARROW, dark: true },
  { name: "sign-in", at: "", ready: "input[type=password]", ...WIDE, dark: false },
];

/** The boxes of these pictures take no commands. */
const USAGE = {
  path: "/srv/ollama/models",
  free_bytes: 1.997e12,
  total_bytes: 3.84e12,
  models_bytes: 142.6e9,
  partials_bytes: 16.2e9,
  orphans_bytes: 9.1e9,
  models: [
    { name: "llama3.3:70b", own_bytes: 42.5e9, shared_bytes: 0 },
    { name: "qwen3:32b", own_bytes: 20.2e9, shared_bytes: 0 },
    { name: "phi4:14b", own_bytes: 1_000, shared_bytes: 9.1e9 },
    { name: "phi4:strict", own_bytes: 600, shared_bytes: 9.1e9 },
  ],
  partials: [],
  orphans: [],
};

const [program, browser] = await Promise.all([cachedBinary("gpu-server"), openBrowser()]);
try {
  await using site = await ShownSite.open(program);
  mkdirSync(folder, { recursive: true });
  // The silent box is silent only after a while.
  const watching = await browser.newContext();
  await signIn(await watching.newPage(), site.server);
  await Bun.sleep(WATCHED_MS);
  const wanted = SHOTS.filter(({ name }) => names.length === 0 || names.includes(name));
  for (const { name, at, ready, press = [], width, height, dark } of wanted) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light" });
    const page = await context.newPage();
    await page.route("**/v1/agents/*/disk", async (route) => {
      await route.fulfill({ json: { agents: [{ usage: USAGE }] } });
    });
    await page.route("**/v1/mirror", async (route) => {
      const response = await route.fetch();
      const mirror: object = await response.json();
      await route.fulfill({ response, json: { ...mirror, folder: "/mnt/shared/gpu_models" } });
    });
    if (at === "") await page.goto(site.server.url);
    else await signIn(page, site.server, at);
    await page.locator(ready).first().waitFor();
    for (const button of press) await page.getByRole("button", { name: button, exact: true }).click();
    await Bun.sleep(at === "" ? 500 : 6_000);
    await page.mouse.move(0, 0);
    const path = join(folder, `${name}.png`);
    await page.screenshot({ path });
    const { size } = Bun.file(path);
    if (size > MOST_BYTES) throw new Error(`${path} has ${size} bytes, more than ${MOST_BYTES}`);
    process.stdout.write(`${path}  ${Math.round(size / 1000)} kB\n`);
    await context.close();
  }
} finally {
  await browser.close();
}
