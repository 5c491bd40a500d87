// The nats-server of these tests: it keeps what it acknowledged, whatever happens to it.
import { afterEach, expect, test } from "bun:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { NatsServer } from "#tests/support/nats/nats_server.ts";

const servers: NatsServer[] = [];

async function startServer(config?: string): Promise<NatsServer> {
  const server = await NatsServer.start(config === undefined ? {} : { config });
  servers.push(server);
  return server;
}

/** Resolves once it is connected again. */
async function reconnected(connection: NatsConnection): Promise<void> {
  for await (const { type } of connection.status()) if (type === "reconnect") return;
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

test("a put that was acknowledged is there after kill() and restart(), for a connection that comes back by itself", async () => {
  const server = await startServer();
  const connection = await connect({ servers: server.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
  const { streams } = await jetstreamManager(connection);
  await streams.add({ name: "things", subjects: ["things.>"] });
  await jetstream(connection).publish("things.one", "first");
  await server.kill();
  const back = reconnected(connection);
  await server.restart();
  await back;
  expect((await streams.getMessage("things", { last_by_subj: "things.one" }))?.string()).toBe("first");
  await connection.close();
});

test("pause() leaves connections open and requests unanswered until resume()", async () => {
  const server = await startServer();
  const connection = await connect({ servers: server.url });
  await server.pause();
  const round = connection.flush().then(() => "answered");
  expect(await Promise.race([round, Bun.sleep(200).then(() => "silent")])).toBe("silent");
  server.resume();
  expect(await round).toBe("answered");
  await connection.close();
});

test("start() fails with the server's own words when its configuration is wrong", async () => {
  const failure = await startServer("accounts: { A: 5 }").catch(String);
  expect(failure).toContain("Expected map entries for accounts");
});
