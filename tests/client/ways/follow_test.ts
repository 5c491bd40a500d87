// Pulls that are followed, over both ways: progress, Ctrl-C, and a gpu-server that goes away meanwhile.
import { describe, expect, test } from "bun:test";
import { type Job, newPull } from "#src/protocol.ts";
import { modelOf, type ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { until } from "#tests/support/until.ts";
import { masked, TwoWays, WAYS, type Way } from "./two_ways.ts";

type Started = Awaited<ReturnType<TwoWays["start"]>>;

async function withPull(way: Way, ...flags: readonly string[]) {
  const site = await TwoWays.open();
  const agent = await site.agent("gpu-1", { models: [modelOf("phi4:latest")] });
  const run = await site.start(way, ["pull", "mistral", "--agent", "gpu-1", ...flags]);
  await until(() => agent.jobs.length === 1 && run.stdout.text.includes("queued"));
  return { site, agent, run };
}

async function progress(site: TwoWays, agent: ScriptedAgent, change: Partial<Job>): Promise<void> {
  agent.jobs = agent.jobs.map((job) => ({ ...job, ...change }));
  await site.publish(agent);
}

const HALF = { state: "running", completed_bytes: 5e9, total_bytes: 10e9 } as const;
const WHOLE = { state: "succeeded", completed_bytes: 10e9, total_bytes: 10e9 } as const;

async function ended({ status, stdout, stderr }: Started) {
  return masked({ status: await status, stdout: stdout.text, stderr: stderr.text });
}

describe.each([...WAYS])("over the %s", (way) => {
  test("a pull is followed to its end", async () => {
    const { site, agent, run } = await withPull(way);
    await using _ = site;
    await progress(site, agent, HALF);
    await until(() => run.stdout.text.includes("50 %"));
    await progress(site, agent, { ...WHOLE, ended_at: agent.now() });
    expect(await ended(run)).toEqual({
      status: 0,
      stdout: "gpu-1: queued\ngpu-1: running, 50 %, 5.0 GB of 10.0 GB\ngpu-1: succeeded, 10.0 GB\n",
      stderr: "",
    });
  });

  test("a pull that has ended is reported, although its agent has stopped since", async () => {
    const { site, agent, run } = await withPull(way);
    await using _ = site;
    agent.jobs = agent.jobs.map((job) => ({ ...job, ...WHOLE, ended_at: agent.now() }));
    await site.publish(agent, { status: "stopped" });
    const { status, stdout, stderr } = await ended(run);
    expect([status, stdout.split("\n").at(-2), stderr]).toEqual([0, "gpu-1: succeeded, 10.0 GB", ""]);
  });

  test("Ctrl-C leaves a pull running, and shows how to follow it again", async () => {
    const { site, agent, run } = await withPull(way);
    await using _ = site;
    await progress(site, agent, HALF);
    await until(() => run.stdout.text.includes("50 %"));
    run.stop();
    const { status, stderr } = await ended(run);
    expect(status).toBe(130);
    expect(stderr).toContain("Detached: gpu-1 continues to pull mistral:latest");
    expect(agent.jobs[0]?.state).toBe("running");
  });

  test("a pull that fails ends with the status of its code", async () => {
    const { site, agent, run } = await withPull(way);
    await using _ = site;
    const failed = { state: "failed", code: "exhausted", error: "The disk is full", ended_at: agent.now() } as const;
    await progress(site, agent, failed);
    const { status, stderr } = await ended(run);
    expect([status, stderr]).toEqual([75, "error: gpu-1 says: The disk is full\n"]);
  });

  test("jobs --follow prints each change until Ctrl-C", async () => {
    await using site = await TwoWays.open();
    const agent = await site.agent("gpu-1");
    const run = await site.start(way, ["jobs", "--follow", "--json"]);
    agent.jobs = [newPull(Bun.randomUUIDv7(), "gpu-1", "mistral:latest")];
    await site.publish(agent);
    await until(() => run.stdout.text.includes('"state":"queued"'));
    await progress(site, agent, HALF);
    await until(() => run.stdout.text.includes('"state":"running"'));
    run.stop();
    expect((await ended(run)).status).toBe(130);
  });
});

describe("a gpu-server that goes away during a pull", () => {
  test("is waited for, and the pull followed to its end when it is back", async () => {
    const { site, agent, run } = await withPull("server");
    await using _ = site;
    await progress(site, agent, HALF);
    await until(() => run.stdout.text.includes("50 %"));
    await site.stopServer();
    await until(() => run.stdout.text.includes("Cannot reach gpu-server"));
    await progress(site, agent, { ...WHOLE, ended_at: agent.now() });
    site.startServer();
    const { status, stdout } = await ended(run);
    expect([status, stdout.split("\n").at(-2)]).toEqual([0, "gpu-1: succeeded, 10.0 GB"]);
  });

  test("is given up after --timeout with the status of an unreachable share", async () => {
    const { site, agent, run } = await withPull("server", "--timeout", "1");
    await using _ = site;
    await progress(site, agent, HALF);
    await until(() => run.stdout.text.includes("50 %"));
    await site.stopServer();
    const { status, stderr } = await ended(run);
    expect(status).toBe(69);
    expect(stderr).toContain(`Cannot reach gpu-server at ${site.url}: connection refused`);
  });
});

test("a gpu-server that is away is an error with a hint", async () => {
  await using site = await TwoWays.open();
  await site.stopServer();
  expect(await site.run("server", ["list"])).toEqual({
    status: 69,
    stdout: "",
    stderr: `error: Cannot reach gpu-server at ${site.url}: connection refused\n  Check --server, and that gpu-server runs there: systemctl status gpu-courier-server\n`,
  });
});
