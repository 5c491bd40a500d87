// Which address a request counts as coming from, behind proxies and with an invented header.
import { describe, expect, test } from "bun:test";
import { isRange, TrustedProxies } from "#src/server/access/trusted_proxies.ts";
import { ListLog } from "#tests/server/access/login/harness.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

describe("clientOf()", () => {
  test.each([
    ["10.0.0.1", "203.0.113.7", "203.0.113.7"],
    ["10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"],
    ["10.0.0.1", "198.51.100.1, 203.0.113.7, 10.2.3.4", "203.0.113.7"],
    ["10.0.0.1", "10.9.9.9, 10.2.3.4", "10.9.9.9"],
    ["10.0.0.1", undefined, "10.0.0.1"],
    ["10.0.0.1", "", "10.0.0.1"],
    ["10.0.0.1", "203.0.113.7, <script>", "10.0.0.1"],
    ["10.0.0.1", "unknown, 10.2.3.4", "10.2.3.4"],
    ["::1", "203.0.113.7:51234", "203.0.113.7"],
    ["::1", "[2001:db8::7]:51234", "2001:db8::7"],
    ["::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"],
    ["192.0.2.1", "203.0.113.7", "192.0.2.1"],
    ["unknown", "203.0.113.7", "unknown"],
  ])("of %s with the header %s is %s", (peer, header, client) => {
    expect(new TrustedProxies(["10.0.0.0/8", "::1"]).clientOf(peer, header)).toBe(client);
  });

  test("believes nobody without a proxy", () => {
    expect(new TrustedProxies([]).clientOf("127.0.0.1", "203.0.113.7")).toBe("127.0.0.1");
  });
});

test("isRange() takes addresses and networks of both kinds", () => {
  for (const text of ["127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"])
    expect([text, isRange(text)]).toEqual([text, true]);
  for (const text of ["", "localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "fd00::/129", "10.0/8"])
    expect([text, isRange(text)]).toEqual([text, false]);
});

describe("a request through a trusted proxy", () => {
  const PROXY = { peer: "127.0.0.1", headers: { "x-forwarded-for": "203.0.113.7" } };

  test("is in the log and the audit with its own address", async () => {
    const log = new ListLog();
    await using server = await openServer({ log, trustedProxies: ["127.0.0.1"] });
    await server.call("GET", "/v1/agents", { ...PROXY, token: "gpuc_wrong" });
    await server.call("POST", "/v1/jobs", { ...PROXY, token: server.viewer, body: {} });
    expect(log.text).toContain("203.0.113.7");
    expect(server.services.audit.read({}, { limit: 10 })).toMatchObject([{ peer: "203.0.113.7" }]);
  });

  test("has the address of its connection on the listener without tokens, and if the proxy is not trusted", async () => {
    await using server = await openServer({ trustedProxies: ["127.0.0.1"] });
    await server.callTrusted("POST", "/api/models/phi4", PROXY);
    await server.call("POST", "/v1/jobs", { ...PROXY, peer: "192.0.2.1", token: server.viewer, body: {} });
    const peers = server.services.audit.read({}, { limit: 10 }).map(({ peer }) => peer);
    expect(peers).toEqual(["192.0.2.1", "127.0.0.1"]);
  });
});
