// GET /v1/jobs/{id} where two agents publish a job of this id: the one that was asked for it through this server is right.
import { expect, test } from "bun:test";
import { newPull } from "#src/protocol.ts";
import { newEntry } from "#src/server/audit/new_entry.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

const ID = "01a20aac-24d0-7785-b91f-da066d157a40";
const SENT = {
  request: "POST /v1/jobs",
  request_id: "0123456789ab",
  who: "platform",
  way: "token",
  peer: null,
  verb: "pull_model",
  model: "phi4:latest",
  details: null,
  outcome: "ok",
  job: ID,
  key: null,
};

/** gpu-0 publishes a job under the id that gpu-1 made, and both are there when the server starts. */
async function open(published: readonly string[]) {
  const store = new MemoryStore();
  const agents: ScriptedAgent[] = [];
  for (const name of ["gpu-0", "gpu-1"]) {
    const agent = await ScriptedAgent.open(store, name);
    if (published.includes(name)) agent.jobs = [{ ...newPull(ID, name, "phi4:latest"), state: "running" }];
    await agent.publish();
    agents.push(agent);
  }
  const server = await openServer({ store });
  server.services.audit.add(newEntry({ ...SENT, agent: "gpu-1" }));
  server.services.audit.add(newEntry({ ...SENT, agent: "gpu-0" }));
  const close = async (): Promise<void> => {
    for (const agent of agents) await agent.close();
    await server[Symbol.asyncDispose]();
  };
  return { server, [Symbol.asyncDispose]: close };
}

test("is the job of the agent that was asked first, whichever published first", async () => {
  await using site = await open(["gpu-0", "gpu-1"]);
  expect(await site.server.call("GET", `/v1/jobs/${ID}`)).toMatchObject({ status: 200, body: { agent: "gpu-1" } });
});

test("is not that of another agent, when the one that was asked has it no more", async () => {
  await using site = await open(["gpu-0"]);
  expect((await site.server.call("GET", `/v1/jobs/${ID}`)).status).toBe(404);
});
