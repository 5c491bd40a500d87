// A headless Chromium, and a web page on a port of its own: another origin than gpu-server's.
import { type Browser, chromium, type Page } from "playwright-core";

/** Where the browser is. */
export const BROWSER_VARIABLE = "GPU_COURIER_BROWSER";
/** Set in the long form of the suite. */
export const FULL_VARIABLE = "GPU_COURIER_BROWSER_FULL";
export const isFull = process.env[FULL_VARIABLE] === "1";

export async function openBrowser(): Promise<Browser> {
  const executablePath = process.env[BROWSER_VARIABLE];
  if (executablePath === undefined) throw new Error("Run it with: npm run test:browser");
  // Chromium refuses to put root into its sandbox. It opens only pages of these tests.
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return await chromium.launch({ executablePath, args });
}

/** What a page did that nobody may overlook: requests to others, blocked content, errors. */
export class Watched {
  readonly requests: string[] = [];
  readonly problems: string[] = [];

  static async over(page: Page): Promise<Watched> {
    const watched = new Watched();
    page.on("request", (request) => void watched.requests.push(request.url()));
    page.on("pageerror", (error) => void watched.problems.push(error.message));
    await page.exposeFunction("blocked", (what: string) => void watched.problems.push(what));
    await page.addInitScript(
      "addEventListener('securitypolicyviolation', (e) => blocked(e.violatedDirective + ' ' + e.blockedURI))",
    );
    return watched;
  }

  /** The requests to other servers, without images that are in the page itself. */
  outside(url: string): string[] {
    return this.requests.filter((each) => !each.startsWith(`${url}/`) && !each.startsWith("data:"));
  }
}

export class PageServer implements Disposable {
  readonly #server: Bun.Server<undefined>;

  constructor() {
    const page = Bun.file(`${import.meta.dir}/page.html`);
    this.#server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(page) });
  }

  get origin(): string {
    return this.#server.url.origin;
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}
