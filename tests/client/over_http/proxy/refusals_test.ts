// What a client reads when the way to the box fails: JSON with a reason, and never what makes Ollama's command line
// start a server of its own.
import { describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { TlsServers } from "#tests/agent/pulls/tls_servers.ts";
import { problem } from "../answering.ts";
import { Forwarded } from "./forwarded.ts";

async function refusedBy(forwarded: Forwarded, path = "/api/tags") {
  const response = await forwarded.ask(path, { headers: { "user-agent": "ollama/0.32.15" } });
  const text = await response.text();
  expect(text).not.toContain(" refused");
  expect(text).not.toContain("could not connect");
  const body: { error: unknown } = JSON.parse(text);
  return { status: response.status, error: body.error, response };
}

const html = (status: number): Response =>
  new Response("<h1>Sorry</h1>", { status, headers: { "content-type": "text/html; charset=utf-8" } });

describe("a failure of the way to the box is JSON with a reason:", () => {
  test.each([
    ["another server's page", () => html(404), 503, "does not answer as gpu-server does: status 404 with text/html"],
    ["a log-in page", () => html(200), 503, "does not answer as gpu-server does: it is a page of text/html"],
    ["a proxy that does not reach gpu-server", () => html(502), 503, "status 502 with text/html"],
    [
      "a proxy that reports it in JSON",
      () => Response.json({ message: "no" }, { status: 504 }),
      503,
      "status 504 with",
    ],
    ["a proxy that asks for a password", () => html(401), 403, "status 401 with text/html"],
    ["a proxy that forbids it", () => html(403), 403, "status 403 with text/html"],
    ["a gpu-server without this API", () => problem(404, "not_found"), 501, "is older than this gpuctl"],
    ["a problem of gpu-server", () => problem(503, "unavailable", { hint: "Wait" }), 503, /^It did not work\. Wait$/],
    [
      "a problem in dangerous words",
      () => problem(503, "unavailable", { detail: "Connection refused: could not connect\u001b[2J\nerror: x" }),
      503,
      /^Connection rejected: cannot connect \[2J error: x$/,
    ],
  ])("%s", async (_, answer, status, error) => {
    await using forwarded = await Forwarded.open(answer);
    expect(await refusedBy(forwarded)).toMatchObject({
      status,
      error: typeof error === "string" ? expect.stringContaining(error) : expect.stringMatching(error),
    });
  });

  test.each([
    [
      "as a problem",
      () => problem(401, "unauthenticated", { detail: "The token has expired", hint: "Ask for another" }),
      "The token has expired. Ask for another",
    ],
    ["as Ollama would", () => Response.json({ error: "It has expired" }, { status: 401 }), "It has expired"],
  ])("a token that gpu-server rejects %s, never with 401", async (_, answer, why) => {
    await using forwarded = await Forwarded.open(answer);
    const { status, error, response } = await refusedBy(forwarded);
    expect([status, error]).toEqual([403, `gpu-server rejected the token of gpuctl: ${why}`]);
    expect(response.headers.has("www-authenticate")).toBe(false);
    expect((await forwarded.ask("/api/tags", { method: "HEAD" })).status).toBe(403);
  });

  test("a gpu-server that is not there", async () => {
    await using forwarded = await Forwarded.open(() => html(200), { base: "http://127.0.0.1:1" });
    expect(await refusedBy(forwarded)).toMatchObject({
      status: 503,
      error: expect.stringContaining(
        "Cannot reach gpu-server at http://127.0.0.1:1: connection rejected. Check --server",
      ),
    });
  });

  test("a certificate that is not trusted, unless its authority is", async () => {
    const { pem } = new TlsServers();
    const tls = { key: pem, cert: pem };
    await using distrusting = await Forwarded.open(() => Response.json({}), { tls });
    expect(await refusedBy(distrusting)).toMatchObject({
      status: 503,
      error: expect.stringMatching(/Cannot trust the certificate of gpu-server .*--ca FILE/),
    });
    const ca = pem.slice(pem.indexOf("-----BEGIN CERTIFICATE-----"));
    await using trusting = await Forwarded.open(() => Response.json({}), { tls, ca });
    expect((await trusting.ask("/api/tags")).status).toBe(200);
  });

  test("a page without end", async () => {
    const endless = (): ReadableStream =>
      new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) });
    await using forwarded = await Forwarded.open(() => new Response(endless(), { status: 500 }));
    expect(await refusedBy(forwarded)).toMatchObject({ status: 503, error: expect.stringContaining("status 500") });
  });
});

describe("the box's own errors", () => {
  test.each([
    ["no such model", 404, { error: "model 'x' not found" }],
    ["a box that is away", 503, { error: "gpu-1 is away" }],
    ["no prompts", 501, { error: "gpu-courier manages models" }],
    [
      "no such model, in the form of OpenAI",
      404,
      { error: { message: "no such model", type: "invalid_request_error", code: null } },
    ],
  ])("pass unchanged: %s", async (_, status, body) => {
    await using forwarded = await Forwarded.open(() => Response.json(body, { status }));
    const response = await forwarded.ask("/v1/models/x");
    expect([response.status, await response.json()]).toEqual([status, body]);
  });
});

test("a redirection is not followed, so the token goes nowhere else", async () => {
  await using other = await Forwarded.open(() => Response.json({}));
  await using forwarded = await Forwarded.open(() => Response.redirect(`${other.serverUrl}/elsewhere`, 307));
  expect(await refusedBy(forwarded)).toMatchObject({ status: 503, error: expect.stringContaining("it redirects to") });
  expect([forwarded.requests.length, other.requests]).toEqual([1, []]);
});

describe("the token file", () => {
  test("is read for each request: a new token counts at once", async () => {
    await using forwarded = await Forwarded.open(() => Response.json({}));
    await forwarded.ask("/api/tags");
    await forwarded.writeToken("gc_new");
    await forwarded.ask("/api/tags");
    const tokens = forwarded.requests.map(({ headers }) => headers.get("authorization"));
    expect(tokens).toEqual(["Bearer gc_secret", "Bearer gc_new"]);
  });

  test("that is gone, or that others can read, is the reason", async () => {
    await using forwarded = await Forwarded.open(() => Response.json({}));
    await forwarded.writeToken("gc_secret", 0o644);
    expect(await refusedBy(forwarded)).toMatchObject({ status: 403, error: expect.stringContaining("chmod 600") });
    await rm(forwarded.tokenFile);
    expect(await refusedBy(forwarded)).toMatchObject({
      status: 403,
      error: expect.stringContaining("gpu-server token add"),
    });
    expect(forwarded.requests).toEqual([]);
  });
});
