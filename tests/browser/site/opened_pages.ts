// The console's pages that a test file opens, each watched for what no page may do.
import type { Browser, Page } from "playwright-core";
import type { HttpServer } from "#tests/process/site/site.ts";
import { Watched } from "./browser.ts";
import { signIn } from "./console_page.ts";

const LIMIT_MS = 15_000;

interface Opened {
  /** The part of the address after the server's. */
  readonly at: string;
  readonly role?: "gp" | "viewer";
  /** Options of the browser's context. */
  readonly look?: object;
}

export class OpenedPages {
  readonly #all: { readonly server: HttpServer; readonly watched: Watched }[] = [];

  /** Resolves when a user of this role is signed in. */
  async open(browser: Browser, server: HttpServer, { at, role = "gp", look = {} }: Opened): Promise<Page> {
    const page = await (await browser.newContext(look)).newPage();
    page.setDefaultTimeout(LIMIT_MS);
    const watched = await Watched.over(page);
    this.#all.push({ server, watched });
    await signIn(page, server, at, role);
    return page;
  }

  get count(): number {
    return this.#all.length;
  }

  /** The addresses that each page has asked for, the newest page last. */
  get requests(): readonly (readonly string[])[] {
    return this.#all.map(({ watched }) => watched.requests);
  }

  /** Errors, broken rules of the policy, and requests to other servers. */
  get problems(): readonly string[] {
    return this.#all.flatMap(({ server, watched }) => [...watched.problems, ...watched.outside(server.url)]);
  }
}
