// Lists, pulls, follows and deletes with openapi-fetch and the generated types: client.ts URL TOKEN MODEL. Copied beside both.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.d.ts";

const [baseUrl = "", token = "", name = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${token}` } });
const isActive = ({ state }: components["schemas"]["Job"]): boolean =>
  state === "queued" || state === "running" || state === "verifying";

function dataOf<Data>({ data, error }: { data?: Data; error?: components["schemas"]["Problem"] }): Data {
  assert(data !== undefined, error?.detail);
  return data;
}

async function installed(): Promise<Map<string, number>> {
  const { models } = dataOf(await client.GET("/v1/models"));
  return new Map(models.map((model) => [model.name, model.size]));
}

const [agent] = dataOf(await client.GET("/v1/agents")).agents;
assert(agent?.status === "online" && (agent.disk?.free_bytes ?? 1) > 0);
assert(!(await installed()).has(name));

const body = { kind: "pull" as const, model: name, agents: [agent.agent] };
let [job] = dataOf(await client.POST("/v1/jobs", { body })).jobs;
assert(job?.code === null && job.requested_by === "demo");
while (isActive(job)) {
  const params = { path: { id: job.id ?? "" }, query: { wait: 60 } };
  job = dataOf(await client.GET("/v1/jobs/{id}", { params }));
}
assert.equal(job.state, "succeeded");
assert(job.completed_bytes > 0 && (await installed()).has(name));
const { jobs } = dataOf(await client.GET("/v1/jobs", { params: { query: { model: name, state: "succeeded" } } }));
assert(jobs.some(({ id }) => id === job?.id));
const states = ["succeeded" as const, "retrying" as const];
const several = dataOf(await client.GET("/v1/jobs", { params: { query: { model: name, state: states } } }));
assert.deepEqual(several.jobs, jobs);

const params = { path: { agent: agent.agent, model: name } };
const { agents } = dataOf(await client.DELETE("/v1/agents/{agent}/models/{model}", { params }));
assert.equal(agents[0]?.code, null);
assert(!(await installed()).has(name));
const { error } = await client.DELETE("/v1/agents/{agent}/models/{model}", { params });
assert.equal(error?.code satisfies components["schemas"]["ErrorCode"] | undefined, "not_found");
process.stdout.write("typescript: listed, pulled, followed and deleted\n");
