// What `gpuctl jobs` prints about commands and pulls that agents refused.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { ClientSite, jobOf } from "#tests/support/sites/client_run.ts";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => await site.close());

test("jobs names the last commands of the day that an agent refused, and all as JSON", async () => {
  const agent = await site.agent("gpu-1");
  await site.agent("gpu-2");
  const refused = (index: number, secondsAgo: number) => ({
    at: site.ago(secondsAgo),
    command_id: `delete_model_${index}`,
    command: "delete_model",
    model: "phi4:latest",
    code: "forbidden" as const,
    error: "This box requires signed commands",
  });
  await agent.publish({
    refused: [refused(0, 2 * 86_400), ...[1, 2, 3, 4, 5, 6].map((index) => refused(index, 60))],
  });
  const { status, stderr } = await site.run(["jobs"]);
  const line = "gpu-1 refused delete_model phi4:latest 1 minute ago: This box requires signed commands";
  expect([status, stderr.split("\n").filter((text) => text === line).length]).toEqual([0, 5]);
  expect(stderr).toContain("1 more command was refused\n  See all: gpuctl jobs --json\n");
  const all = JSON.parse((await site.run(["jobs", "--json"])).stdout);
  expect([all.refused.length, all.refused[0].agent]).toEqual([7, "gpu-1"]);
  expect(JSON.parse((await site.run(["jobs", "--agent", "gpu-2", "--json"])).stdout).refused).toEqual([]);
});

test("jobs does not name a refused pull that is listed as a job", async () => {
  const agent = await site.agent("gpu-1");
  const pull = { command: "pull_model", model: "phi4:latest", code: "forbidden" as const, error: "Not allowed" };
  const refused = { at: site.ago(60), command_id: "id-1", ...pull };
  agent.jobs = [jobOf({ state: "failed", ended_at: site.ago(60), code: "forbidden", error: "Not allowed" })];
  await agent.publish({ refused: [refused, { ...refused, command_id: "id-2", model: "other:latest" }] });
  const { stderr } = await site.run(["jobs"]);
  expect(stderr).toBe("gpu-1 refused pull_model other:latest 1 minute ago: Not allowed\n");
});
