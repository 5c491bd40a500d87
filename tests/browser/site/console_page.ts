// The console's page in a browser: signing in, and what tests look for in it.
import type { Page } from "playwright-core";
import type { HttpServer } from "#tests/process/site/site.ts";

/** Opens the page and signs in with the token of this role. @param at the part of the address after the server's */
export async function signIn(page: Page, server: HttpServer, at = "", role: "gp" | "viewer" = "gp"): Promise<void> {
  await signInWith(page, `${server.url}/${at}`, server.tokens[role]);
}

export async function signInWith(page: Page, url: string, token: string): Promise<void> {
  await page.goto(url);
  await page.locator("input[type=password]").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator(".contact.live").waitFor();
}

/** Starts a pull, as another client does. @returns the id of its job */
export async function pull(server: HttpServer, model: string, agent = "gpu-1"): Promise<string> {
  const { answer } = await server.call("POST", "/v1/jobs", { kind: "pull", model, agents: [agent] });
  const { jobs }: { jobs?: readonly { id?: string }[] } = answer;
  const id = jobs?.[0]?.id;
  if (id === undefined) throw new Error(`No job: ${JSON.stringify(answer)}`);
  return id;
}
