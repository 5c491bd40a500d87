// Which Host headers the listener without tokens serves.
import { describe, expect, test } from "bun:test";
import { silentLog } from "#src/base/log.ts";
import { hostName, TrustedHosts } from "#src/server/http/guard/trusted_hosts.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

describe("TrustedHosts", () => {
  test.each([
    ["127.0.0.1", "127.0.0.1", true],
    ["127.0.0.1", "127.0.0.1:8002", true],
    ["127.0.0.1", "LOCALHOST:9", true],
    ["127.0.0.1", "localhost.", true],
    ["127.0.0.1", "gpu.example.org:8002", true],
    ["127.0.0.1", "gpu.example.org.", true],
    ["127.0.0.1", "rebound.example", false],
    ["127.0.0.1", "127.0.0.1.rebound.example", false],
    ["127.0.0.1", "localhost.rebound.example", false],
    ["127.0.0.1", "127.0.0.1@rebound.example", false],
    ["127.0.0.1", "rebound.example/127.0.0.1", false],
    ["127.0.0.1", "192.0.2.1", false],
    ["127.0.0.1", "127.0.0.2:8002", true],
    ["127.0.0.1", "127.1", true],
    ["127.0.0.1", "[::1]:8002", true],
    ["127.0.0.2", "127.0.0.1", true],
    ["localhost", "127.0.0.1", true],
    ["localhost", "[::1]", true],
    ["127.0.0.1", "[::2]", false],
    ["127.0.0.1", "0.0.0.0", false],
    ["127.0.0.1", "127.0.0.1.example", false],
    ["127.0.0.1", "a%2fb", false],
    ["::1", "[::1]:8002", true],
    ["::1", "[0:0::1]", true],
    ["::1", "[::2]", false],
    ["::1", "127.0.0.1:8002", true],
    ["192.0.2.1", "127.0.0.1", false],
    ["0.0.0.0", "192.0.2.1:8002", true],
    ["0.0.0.0", "[2001:db8::1]", true],
    ["::", "192.0.2.1", true],
    ["0.0.0.0", "rebound.example", false],
    ["0.0.0.0", "192.0.2.1.rebound.example", false],
    ["gpu-box", "gpu-box:8002", true],
    ["gpu-box", "gpu-box.rebound.example", false],
  ])("on %p, has(%p) is %p", (address, host, expected) => {
    expect(new TrustedHosts(address, ["gpu.example.org"]).has(host)).toBe(expected);
  });

  test.each([
    ["GPU.Example.org", "gpu.example.org"],
    ["[::1]", "[::1]"],
    ["a/b", undefined],
    ["user@a", undefined],
    ["a b", undefined],
  ])("hostName(%p) is %p", (text, name) => {
    expect(hostName(text)).toBe(name);
  });
});

test("the listener without tokens refuses another host, and touches no agent", async () => {
  await using server = await openServer();
  const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
  const headers = { host: "rebound.example:8002" };
  const { status, body } = await server.callTrusted("DELETE", "/api/models/phi4", { headers });
  expect([status, body.success, agent.commands]).toEqual([403, false, []]);
  expect(body.error).toContain("--trusted-host");
  const trusted = { headers: { host: "gpu.example.org" } };
  expect((await server.callTrusted("GET", "/api/models", trusted)).status).toBe(200);
  expect((await server.call("GET", "/api/models", { headers })).status).toBe(200);
});

test("each refused host is logged once, with its peer and what to do, and a flood of them is not", async () => {
  const lines: [string, object][] = [];
  const log = { ...silentLog, warn: (fields: object, message: string) => void lines.push([message, fields]) };
  await using server = await openServer({ log });
  const call = async (host: string) => await server.callTrusted("GET", "/api/models", { headers: { host } });
  for (const host of ["gpu.local:8002", "gpu.local:8002", "localhost", "gpu.local:8002"]) await call(host);
  const hint = expect.stringContaining("--trusted-host");
  const message = "The listener without tokens refuses a host";
  expect(lines).toEqual([[message, { host: "gpu.local:8002", peer: "192.0.2.1", hint }]]);
  for (let index = 0; index < 200; index++) await call(`host-${index}.example`);
  expect(lines.slice(63)).toEqual([
    [message, expect.objectContaining({ host: "host-62.example" })],
    ["Refused more hosts than the log names", { named: 64, hint }],
  ]);
});
