// What a viewer may do on each route that changes something: nothing, also with requests forged by hand.
import { describe, expect, test } from "bun:test";
import { VERBS, Verb } from "#src/protocol.ts";
import { OWN_PAGE, signIn } from "#tests/support/sites/browser_session.ts";
import { ROUTES } from "./routes.ts";
import { OWN } from "./subjects.ts";
import { openWorld } from "./worlds.ts";

/** They change nothing: one measures, one is for streams, one only reads. */
const HARMLESS = ["POST /v1/agents/:agent/ping", "POST /v1/tickets", "POST /agents/:agent/api/show"];
const CHANGING = Object.keys(ROUTES).filter((route) => !route.startsWith("GET ") && !HARMLESS.includes(route));

describe("a viewer, with its token and with the cookie of its session", () => {
  test.each(CHANGING)("is refused by %s, and no box hears of it", async (route) => {
    await using world = await openWorld("without gpu-2");
    const { server, own } = world;
    const heard = own.commands.length;
    const { cookie } = await signIn(server, { token: server.viewer });
    const method = route.slice(0, route.indexOf(" "));
    const before = [server.services.activeModels.read(), server.tokens.list()];
    const requests = ROUTES[route]?.requests(OWN) ?? [];
    expect(requests).not.toEqual([]);
    for (const { path, body } of requests) {
      const withToken = await server.request(method, path, { token: server.viewer, body });
      const withCookie = await server.request(method, path, { token: null, body, headers: { ...OWN_PAGE, cookie } });
      // The routes of Ollama's clients take no session at all.
      const refused = path.startsWith("/agents/") ? 401 : 403;
      expect([path, withToken.status, withCookie.status]).toEqual([path, 403, refused]);
    }
    expect(own.commands.slice(heard)).toEqual([]);
    expect([server.services.activeModels.read(), server.tokens.list()]).toEqual(before);
  });

  test("is refused however the request is written", async () => {
    await using world = await openWorld("without gpu-2");
    const { server, own } = world;
    const heard = own.commands.length;
    const path = `/v1/agents/${OWN.agent}/models/${OWN.model}`;
    for (const [method, at, headers] of [
      ["GET", path, { "x-http-method-override": "DELETE" }],
      ["POST", path, { "x-http-method-override": "DELETE" }],
      ["DELETE", `${path}/`, {}],
      ["DELETE", `/v1//agents/${OWN.agent}/models/${OWN.model}`, {}],
      ["DELETE", `/v1/agents/../agents/${OWN.agent}/models/${OWN.model}`, {}],
      ["DELETE", `/%761/agents/${OWN.agent}/models/${encodeURIComponent(OWN.model)}`, {}],
      ["delete", path, {}],
      ["DELETE", `${path}?role=gp&token=${server.gp.slice(0, 8)}`, {}],
      ["DELETE", path, { "x-forwarded-for": "127.0.0.1", "x-original-url": path, "x-role": "gp" }],
    ] as const) {
      const { status } = await server.request(method, at, { token: server.viewer, headers });
      expect([method, at, [400, 403, 404, 405].includes(status) || (method === "GET" && status === 200)]).toEqual([
        method,
        at,
        true,
      ]);
    }
    expect(own.commands.slice(heard).filter(({ command }) => VERBS[Verb.parse(command)].changing)).toEqual([]);
  });
});
