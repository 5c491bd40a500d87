// Which requests the port takes, and where a path may lead.
import { describe, expect, test } from "bun:test";
import { refusalOf } from "#src/client/over_http/proxy/admission.ts";
import { targetOf } from "#src/client/over_http/proxy/target.ts";
import { Forwarded } from "./forwarded.ts";

describe("the port takes", () => {
  test.each(["127.0.0.1:PORT", "localhost:PORT", "LocalHost:PORT"])("a request for the host %s", async (host) => {
    await using forwarded = await Forwarded.open(() => Response.json({ models: [] }));
    const { port } = new URL(forwarded.url);
    const { status } = await forwarded.ask("/api/tags", { headers: { host: host.replace("PORT", port) } });
    expect([status, forwarded.requests.length]).toEqual([200, 1]);
  });
});

describe("the port refuses with 403, and asks gpu-server nothing:", () => {
  test.each([
    ["a page's request to another site", { origin: "https://evil.example" }, "web pages"],
    ["a sandboxed page's request", { origin: "null" }, "web pages"],
    ["a page's request without CORS", { "sec-fetch-site": "cross-site" }, "web pages"],
    ["an address that somebody opened in a browser", { "sec-fetch-site": "none" }, "web pages"],
    ["a page of another port of this host", { "sec-fetch-site": "same-site" }, "web pages"],
    ["a name that leads to this machine", { host: "evil.example" }, "not for another host"],
    ["such a name with the right port", { host: "evil.example:PORT" }, "not for another host"],
    ["another port", { host: "127.0.0.1:1" }, "not for another host"],
    ["no port", { host: "127.0.0.1" }, "not for another host"],
    ["another address of this machine", { host: "127.0.0.2:PORT" }, "not for another host"],
  ])("%s", async (_, headers, why) => {
    await using forwarded = await Forwarded.open(() => Response.json({}));
    const { port } = new URL(forwarded.url);
    const sent = Object.entries(headers).map(([name, value]): [string, string] => [name, value.replace("PORT", port)]);
    const response = await forwarded.ask("/api/delete", { method: "DELETE", headers: sent, body: "{}" });
    expect([response.status, await response.json()]).toEqual([403, { error: expect.stringContaining(why) }]);
    expect(forwarded.requests).toEqual([]);
  });
});

describe("refusalOf()", () => {
  test("takes a host without a port where that is 80, and refuses a request without a host", () => {
    const of = (headers: Record<string, string>) => refusalOf({ method: "GET", headers: new Headers(headers) }, 80);
    expect(of({ host: "localhost" })).toBeUndefined();
    expect(of({})?.status).toBe(403);
  });

  test("refuses methods that Ollama's API does not have", () => {
    for (const method of ["OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
      expect(refusalOf({ method, headers: new Headers({ host: "127.0.0.1:7" }) }, 7)?.status).toBe(405);
  });
});

describe("targetOf()", () => {
  const of = (path: string, prefix = "") => targetOf(new URL(`http://127.0.0.1:7${path}`), prefix);

  test.each([
    ["/", "/"],
    ["/api/tags", "/api/tags"],
    ["//api//tags/", "/api/tags/"],
    ["/api/pull?x=%2e%2e", "/api/pull?x=%2e%2e"],
    ["/v1/models/hf.co%2Fuser%2Fmodel:Q4", "/v1/models/hf.co%2Fuser%2Fmodel:Q4"],
    ["/v1/models/a..b", "/v1/models/a..b"],
    ["/v1/models/100%25", "/v1/models/100%25"],
    ["/a/../api/tags", "/api/tags"],
  ])("passes %s on as %s", (path, target) => {
    expect(of(path)).toBe(target);
  });

  test.each([
    "/..%2f..%2fv1/tokens",
    "/%2e%2e%2fv1",
    "/api/..%5cv1",
    "/api/%252e%252e%252fv1",
    "/api/%25252e%25252e%25252fv1",
    "/api/..;/v1",
    "/api/%2e%2e;x=1/v1",
    "/api/.%2fx",
    "/api/%00",
    "/api/%ff",
    "/api/%",
  ])("refuses %s", (path) => {
    expect(of(path)).toEqual({ status: 403, reason: expect.stringContaining("leads out") });
  });

  test.each([
    ["/secret", "/"],
    ["/secret/", "/"],
    ["/secret//api/tags", "/api/tags"],
  ])("takes %s below the prefix as %s", (path, target) => {
    expect(of(path, "/secret")).toBe(target);
  });

  test.each(["/", "/api/tags", "/secretly", "/secre", "/secret/../api/tags", "//secret/api"])(
    "has nothing at %s beside the prefix",
    (path) => {
      expect(of(path, "/secret")).toMatchObject({ status: 404 });
    },
  );
});
