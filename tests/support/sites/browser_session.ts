// A browser that is signed in: what it sends to a server under test from a page of that server.
import type { Answered, ServerUnderTest } from "./server_fixture.ts";

export const HOST = "127.0.0.1:8001";
/** What a browser adds to a request from a page of this server. */
export const OWN_PAGE: Readonly<Record<string, string>> = {
  host: HOST,
  origin: `http://${HOST}`,
  "sec-fetch-site": "same-origin",
};

/** @returns the response, and the cookie as a browser sends it back */
export async function signIn(
  server: ServerUnderTest,
  body: object,
  headers = OWN_PAGE,
): Promise<Answered & { readonly cookie: string }> {
  const answer = await server.call("POST", "/v1/session", { token: null, headers, body });
  return { ...answer, cookie: answer.headers.get("set-cookie")?.split(";", 1)[0] ?? "" };
}

export async function statusWith(
  server: ServerUnderTest,
  cookie: string,
  [method, path]: readonly [string, string] = ["GET", "/v1/agents"],
  headers = OWN_PAGE,
): Promise<number> {
  const response = await server.request(method, path, { token: null, headers: { ...headers, cookie } });
  await response.body?.cancel();
  return response.status;
}
