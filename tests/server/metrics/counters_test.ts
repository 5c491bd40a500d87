// What GET /metrics counts and measures: each thing once, where it happens.
import { describe, expect, test } from "bun:test";
import { MetricsText } from "#src/program/metrics/text.ts";
import { Measures } from "#src/server/metrics/measures.ts";
import { TimedTransport } from "#src/server/metrics/timed_transport.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { signedState } from "#tests/trust/agents/signed_states.ts";
import { testKey } from "#tests/trust/test_key.ts";
import { endedJob, openSite, scrape, seriesOf, startingWith } from "./series.ts";

const NAME = "gpu_courier_";

describe("jobs_ended_total", () => {
  test("counts each end once, however often states and scrapes repeat it, and begins at 0", async () => {
    const { clock, store, server } = await openSite();
    await using _ = server;
    const agent = await ScriptedAgent.open(store, "gpu-1");
    await clock.advance(1_000);
    const counts = async () => startingWith(await scrape(server), `${NAME}jobs_ended_total{agent="gpu-1",`);
    const none = {
      'result="succeeded",code=""}': 0,
      'result="failed",code="internal"}': 0,
      'result="cancelled",code="cancelled"}': 0,
    };
    expect(await counts()).toEqual(none);
    agent.jobs = [endedJob("a"), endedJob("b", { state: "succeeded", code: null })];
    for (let round = 0; round < 3; round++) {
      await agent.publish();
      await clock.advance(6_000);
      expect(await counts()).toEqual({
        ...none,
        'result="succeeded",code=""}': 1,
        'result="failed",code="unavailable"}': 1,
      });
    }
    agent.jobs = [...agent.jobs, endedJob("c")];
    await agent.publish();
    await clock.advance(1_000);
    expect((await counts())['result="failed",code="unavailable"}']).toBe(2);
    await agent.close();
  });

  test("counts a pull that the agent refused", async () => {
    const { clock, store, server } = await openSite();
    await using _ = server;
    const refusal = { success: false, code: "exhausted", error: "No room" } as const;
    const agent = await ScriptedAgent.open(store, "gpu-1", { answer: () => refusal });
    await clock.advance(1_000);
    const body = { kind: "pull", model: "phi4", agents: ["gpu-1"] };
    const sent = server.call("POST", "/v1/jobs", { body });
    await clock.advance(3_000);
    expect((await sent).body.jobs).toMatchObject([{ state: "failed", code: "exhausted" }]);
    const failed = `${NAME}jobs_ended_total{agent="gpu-1",result="failed",code="exhausted"}`;
    expect((await scrape(server)).get(failed)).toBe(1);
    await agent.close();
  });
});

describe("forged_documents_total", () => {
  test("counts each forged state once, also when it is read again or judged again after a decision on a key", async () => {
    const { clock, store, server } = await openSite();
    await using _ = server;
    const agent = await ScriptedAgent.open(store, "gpu-1", { key: testKey() });
    await clock.advance(1_000);
    const forged = async () =>
      (await scrape(server)).get(`${NAME}forged_documents_total{agent="gpu-1",document="state"}`);
    expect(await forged()).toBe(0);
    await server.transport.publishState("gpu-1", signedState("gpu-1", { key: testKey(2) }));
    for (let round = 0; round < 3; round++) {
      await clock.advance(1_000);
      await server.services.fleet.refresh("gpu-1");
      server.services.courier.keys.adopt(`gpu-${round + 5}`, { key: null, status: "unsigned", boot: 0, sequence: 0 });
      expect(await forged()).toBe(1);
    }
    await agent.publish();
    await clock.advance(1_000);
    await server.transport.publishState("gpu-1", signedState("gpu-1", { key: testKey(2) }));
    await clock.advance(1_000);
    expect(await forged()).toBe(2);
    await agent.close();
  });

  test("counts responses that do not match their command", async () => {
    const { clock, store, server } = await openSite();
    await using _ = server;
    const agent = await ScriptedAgent.open(store, "gpu-1", { answer: () => ({ agent: "gpu-2" }) });
    await clock.advance(1_000);
    const asked = server.call("POST", "/v1/agents/gpu-1/ping");
    await clock.advance(5_000);
    expect((await asked).status).toBe(504);
    const series = await scrape(server);
    expect(series.get(`${NAME}forged_documents_total{agent="gpu-1",document="response"}`)).toBe(1);
    await agent.close();
  });
});

describe("http_request_duration_seconds", () => {
  test("has the route, method and status of each request, and nothing of its path", async () => {
    const { server } = await openSite();
    await using _ = server;
    await server.call("GET", "/v1/agents/gpu-9");
    await server.call("GET", "/v1/agents/gpu-10");
    await server.call("GET", "/secret-path", { token: null });
    await server.call("GET", "/v1/agents", { token: null });
    await server.call("DELETE", "/api/models/hf.co/a/b");
    await server.call("PROPFIND", "/v1/agents");
    await server.callTrusted("GET", "/api/models");
    const counts = startingWith(await scrape(server), `${NAME}http_request_duration_seconds_count`);
    expect(counts).toEqual({
      '{route="/v1/agents/{agent}",method="GET",status="404"}': 2,
      '{route="unmatched",method="GET",status="404"}': 1,
      '{route="/v1/agents",method="GET",status="401"}': 1,
      '{route="/api/models/{name}",method="DELETE",status="503"}': 1,
      '{route="unmatched",method="other",status="405"}': 1,
      '{route="/api/models",method="GET",status="503"}': 1,
    });
  });
});

describe("command_round_trip_seconds", () => {
  test("measures each command until its response, or until nobody waits any more", async () => {
    const { clock, store, server } = await openSite();
    await using _ = server;
    const agent = await ScriptedAgent.open(store, "gpu-1");
    await clock.advance(1_000);
    const ask = async (method: string, path: string) => {
      const asked = server.call(method, path);
      await clock.advance(5_000);
      await asked;
    };
    await ask("POST", "/v1/agents/gpu-1/ping");
    await ask("DELETE", "/v1/agents/gpu-1/models/none");
    agent.answer = () => undefined;
    await ask("POST", "/v1/agents/gpu-1/ping");
    const series = await scrape(server);
    expect(startingWith(series, `${NAME}command_round_trip_seconds_count`)).toEqual({
      '{verb="ping",result="success"}': 1,
      '{verb="delete_model",result="refused"}': 1,
      '{verb="ping",result="unanswered"}': 1,
    });
    const sum = series.get(`${NAME}command_round_trip_seconds_sum{verb="ping",result="unanswered"}`);
    expect(sum).toBeWithin(2, 5.1);
    await agent.close();
  });
});

describe("TimedTransport", () => {
  test("measures the operations of a server, by how they ended, and each look at all states", async () => {
    const clock = new ManualClock();
    const store = new MemoryStore(clock);
    const measures = new Measures(clock);
    const transport = new TimedTransport(store.open(), { operations: measures.operations, clock });
    const watcher = { changed() {}, alive() {}, removed() {}, synced() {}, interrupted() {}, away() {}, restored() {} };
    expect(await failure(transport.readStates())).toMatchObject({ code: "unavailable" });
    await transport.connect();
    expect(transport.description).toBe(store.open().description);
    const watch = await transport.watchStates(watcher);
    const sending = transport.send({ agent: "gpu-1" }, "a", "{}", { durable: false });
    expect(await failure(sending)).toMatchObject({ code: "not_found" });
    await transport.openInbox({ agent: "gpu-1" });
    await transport.send({ agent: "gpu-1" }, "a", "{}", { durable: false });
    await clock.advance(1_000);
    await watch.close();
    const text = new MetricsText();
    measures.operations.writeTo(text);
    const counts = startingWith(seriesOf(text.toString()), `${NAME}transport_operation_seconds_count{operation=`);
    const { '"watch",result="success"}': looks, ...others } = counts;
    expect(looks).toBeGreaterThan(0);
    expect(others).toEqual({
      '"read_states",result="unavailable"}': 1,
      '"connect",result="success"}': 1,
      '"open_inbox",result="success"}': 1,
      '"send",result="not_found"}': 1,
      '"send",result="success"}': 1,
    });
  });
});
