// gpuctl pull --detach and gpuctl wait.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { JobsDocument } from "#src/documents/jobs.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { ClientSite, jobOf } from "#tests/support/sites/client_run.ts";
import type { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  await site.close();
});

const REFUSAL = { success: false, code: "exhausted", error: "Cannot pull phi4:latest: 9.0 GB needed" } as const;

async function pulling(name: string, id: string, change: Parameters<typeof jobOf>[0] = {}): Promise<ScriptedAgent> {
  const agent = await site.agent(name);
  agent.jobs = [jobOf({ id, agent: name, state: "running", ...change })];
  await agent.publish();
  return agent;
}

describe("pull --detach", () => {
  test("prints the jobs once every agent has accepted, and exits with 0", async () => {
    const agents = [await site.agent("gpu-1"), await site.agent("gpu-2")];
    const { status, stdout, stderr } = await site.run(["pull", "phi4", "--all", "--detach"]);
    const ids = agents.map(({ jobs }) => jobs[0]?.id ?? "");
    expect([status, stderr]).toEqual([
      0,
      "gpuctl wait phi4:latest waits for the end, gpuctl jobs shows the progress\n",
    ]);
    expect(stdout.split("\n").map((line) => line.split(/ +/))).toEqual([
      ["JOB", "AGENT", "MODEL", "STATE"],
      [ids[0] ?? "", "gpu-1", "phi4:latest", "queued"],
      [ids[1] ?? "", "gpu-2", "phi4:latest", "queued"],
      [""],
    ]);
  });

  test("fails as the agents that do not accept, and still names the jobs of the others", async () => {
    await site.agent("gpu-1");
    await site.agent("gpu-2", { answer: () => REFUSAL });
    const { status, stdout, stderr } = await site.run(["pull", "phi4", "--all", "--detach"]);
    expect([status, stdout.split("\n").length]).toEqual([1, 3]);
    expect(stderr).toContain("error: gpu-2 says: Cannot pull phi4:latest: 9.0 GB needed\n1 of 2 agents failed\n");
    expect((await site.run(["pull", "phi4", "--agent", "gpu-2", "--detach"])).status).toBe(75);
  });

  test("shows until when the pulls of a box wait for its hours, and what starts them", async () => {
    const waiting_for = "waits for its window until 2026-11-30 20:00 Europe/Berlin";
    const answer = (agent: string) => () => ({
      job: jobOf({ id: "01b20aac-24d0-7785-b91f-000000000001", agent, waiting_for }),
    });
    await site.agent("gpu-1", { answer: answer("gpu-1") });
    await site.agent("gpu-2", { answer: answer("gpu-2") });
    const one = await site.run(["pull", "phi4", "--agent", "gpu-1", "--detach"]);
    expect(one.stderr).toContain(`gpu-1 ${waiting_for}\n  --now pulls at once\n`);
    const two = await site.run(["pull", "phi4", "--all", "--detach"]);
    expect(two.stderr).toContain("gpu-1, gpu-2 wait for their windows\n  --now pulls at once\n");
  });

  test("prints one document with the jobs under --json", async () => {
    await site.agent("gpu-1");
    const { status, stdout } = await site.run(["pull", "phi4", "llama3.2:1b", "--detach", "--json"]);
    expect([status, JobsDocument.parse(JSON.parse(stdout)).jobs.map(({ model }) => model)]).toEqual([
      0,
      ["phi4:latest", "llama3.2:1b"],
    ]);
  });
});

describe("pull of several models", () => {
  test("starts all of them, names them, and exits by all", async () => {
    const agent = await site.agent("gpu-1");
    const run = site.start(["pull", "phi4", "llama3.2:1b"]);
    await settle();
    agent.jobs = agent.jobs.map((job) =>
      job.model === "phi4:latest"
        ? { ...job, state: "succeeded", completed_bytes: 5 }
        : { ...job, state: "failed", code: "not_found", error: "No such model" },
    );
    await agent.publish();
    await site.clock.advance(500);
    expect(await run.status).toBe(1);
    expect(run.stdout.text).toContain("gpu-1: phi4:latest succeeded, 5 B\n");
    expect(run.stdout.text).toContain("gpu-1  llama3.2:1b  failed     not_found\n");
    expect(run.stderr.text).toBe("error: gpu-1 says: No such model\n1 of 2 pulls failed\n");
  });
});

describe("wait", () => {
  test("ends with the pull that is named by its model or the end of its id, and as it does", async () => {
    for (const word of ["phi4", "aaaa-job-1"]) {
      const agent = await pulling("gpu-1", "aaaa-job-1");
      const run = site.start(["wait", word]);
      await settle();
      await site.progress(agent, { state: "succeeded", completed_bytes: 5 });
      expect([await run.status, run.stderr.text]).toEqual([0, ""]);
      expect(run.stdout.text).toEndWith("gpu-1: succeeded, 5 B\n");
    }
    const agent = await pulling("gpu-1", "job-2");
    const run = site.start(["wait", "job-2"]);
    await settle();
    await site.progress(agent, { state: "failed", code: "exhausted", error: "No space" });
    expect([await run.status, run.stderr.text]).toEqual([75, "error: gpu-1 says: No space\n"]);
  });

  test("waits for the pulls of a model on all agents, or on those of --agent", async () => {
    const first = await pulling("gpu-1", "job-1");
    await pulling("gpu-2", "job-2");
    const one = site.start(["wait", "phi4", "--agent", "gpu-1"]);
    const both = site.start(["wait", "phi4"]);
    await settle();
    await site.progress(first, { state: "succeeded" });
    expect(await one.status).toBe(0);
    both.stop();
    await settle();
    expect(await both.status).toBe(130);
    expect(both.stderr.text).toContain("Detached: gpu-2 continues to pull phi4:latest\n");
    expect(both.stderr.text).toContain("gpuctl wait phi4 follows it again\n");
  });

  test("ends at once for a pull that has ended, and fails for one that never was", async () => {
    await pulling("gpu-1", "job-1", {
      state: "failed",
      code: "not_found",
      error: "No such model",
      ended_at: site.ago(5),
    });
    await pulling("gpu-2", "job-2", { state: "succeeded", ended_at: site.ago(5) });
    expect((await site.run(["wait", "phi4"])).status).toBe(1);
    expect((await site.run(["wait", "phi4", "--agent", "gpu-2"])).status).toBe(0);
    expect((await site.run(["wait", "job-1", "--json"])).status).toBe(66);
    expect(await site.run(["wait", "nosuch"])).toMatchObject({
      status: 66,
      stderr: expect.stringContaining("No job and no running pull matches nosuch"),
    });
  });

  test("of a model counts the last pull of each agent, and no earlier one that was cancelled", async () => {
    const ended = (seconds: number) => ({ created_at: site.ago(seconds + 10), ended_at: site.ago(seconds) });
    const cancelled = { state: "cancelled", code: "cancelled", error: "Cancelled" } as const;
    const first = await pulling("gpu-1", "job-1", { ...cancelled, ...ended(3_600) });
    await pulling("gpu-2", "job-2", { state: "succeeded", ...ended(5) });
    expect((await site.run(["wait", "phi4"])).status).toBe(0);
    expect((await site.run(["wait", "phi4", "--agent", "gpu-1"])).status).toBe(130);
    // One that was asked for with the last one, or failed, is news.
    for (const change of [
      { ...cancelled, ...ended(6) },
      { state: "failed", code: "exhausted", ...ended(3_600) },
    ] as const) {
      first.jobs = [jobOf({ id: "job-3", ...change })];
      await first.publish();
      expect((await site.run(["wait", "phi4"])).status).toBe(1);
    }
  });

  test("of a model also counts what ended while others that were started with it are under way", async () => {
    const failed = { state: "failed", code: "exhausted", error: "No space", ended_at: site.ago(1) } as const;
    const first = await pulling("gpu-1", "job-1", { ...failed, created_at: site.ago(3_600) });
    const second = await pulling("gpu-2", "job-2", { created_at: site.ago(20) });
    for (const [created_at, status] of [
      [site.ago(3_600), 0],
      [site.ago(25), 1],
    ] as const) {
      first.jobs = [jobOf({ id: "job-1", ...failed, created_at })];
      await first.publish();
      second.jobs = [jobOf({ id: "job-2", agent: "gpu-2", state: "running", created_at: site.ago(20) })];
      await second.publish();
      const run = site.start(["wait", "phi4"]);
      await settle();
      await site.progress(second, { state: "succeeded" });
      expect(await run.status).toBe(status);
    }
  });

  test("exits with 75 after --max-wait, and names what is left", async () => {
    await pulling("gpu-1", "job-1");
    const run = site.start(["wait", "phi4", "--max-wait", "3"]);
    await settle();
    for (let seconds = 0; seconds < 3; seconds++) await site.clock.advance(1000);
    expect([await run.status, run.stderr.text]).toEqual([
      75,
      "error: Not done within 3 s: phi4:latest on gpu-1\n  The pulls continue: gpuctl jobs shows their progress\n",
    ]);
  });
});
