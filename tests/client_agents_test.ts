// gpuctl agents, ping, jobs.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { AgentsDocument } from "../src/courier/document_schemas.ts";
import { JobsDocument } from "../src/courier/job_schemas.ts";
import { ClientSite, jobOf } from "./support/client_run.ts";
import { modelOf } from "./support/scripted_agent.ts";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  await site.close();
});

/** gpu-1 well, gpu-2 without Ollama, gpu-3 stopped, gpu-4 silent. */
async function mixedFleet(): Promise<void> {
  await site.agent("gpu-4");
  await site.clock.advance(200_000);
  await site.agent("gpu-1", { models: [modelOf("phi4:latest")] });
  const checked_at = site.ago(0);
  const ollama = { reachable: false, version: null, error: "connection refused", checked_at };
  await (await site.agent("gpu-2")).publish({ ollama });
  await (await site.agent("gpu-3")).publish({ status: "stopped" });
}

describe("agents", () => {
  test("shows how each one is", async () => {
    await mixedFleet();
    const { status, stdout, stderr } = await site.run(["agents"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toBe(
      [
        "AGENT  STATUS                                               MODELS  JOBS  FREE DISK  OLLAMA  VERSION",
        "gpu-1  online                                                    1     0     4.0 GB  0.12.0  0.1.0",
        "gpu-2  online, Ollama is not reachable: connection refused       0     0     4.0 GB  -       0.1.0",
        "gpu-3  stopped just now                                          0     0     4.0 GB  0.12.0  0.1.0",
        "gpu-4  silent for 3 min 20 s                                     0     0     4.0 GB  0.12.0  0.1.0",
        "",
      ].join("\n"),
    );
  });

  test("fits a terminal", async () => {
    await mixedFleet();
    const { stdout } = await site.run(["agents"], { terminal: true });
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect(stdout.replaceAll(/\s+/g, " ")).toContain(
      "online, Ollama is not 0 0 4.0 GB - 0.1.0 reachable: connection refused",
    );
  });

  test("prints the document of /v1/agents under --json", async () => {
    await mixedFleet();
    const { stdout } = await site.run(["agents", "--json"]);
    const { agents } = AgentsDocument.parse(JSON.parse(stdout));
    expect(agents.map(({ agent, status, reason }) => [agent, status, reason])).toEqual([
      ["gpu-1", "online", null],
      ["gpu-2", "online", "ollama_down"],
      ["gpu-3", "offline", "stopped"],
      ["gpu-4", "offline", "silent"],
    ]);
  });

  test("says what to do when there is none, and succeeds", async () => {
    const told = await site.run(["agents"]);
    expect([told.status, told.stdout]).toEqual([0, ""]);
    expect(told.stderr).toBe(
      "No agent has published its state in memory\n  Start gpu-agent on a box that sees this share\n",
    );
    expect(await site.run(["agents", "--json"])).toEqual({ status: 0, stdout: '{"agents":[]}\n', stderr: "" });
  });

  test("shows an old service as one", async () => {
    await site.oldService({ success: true });
    expect((await site.run(["agents"])).stdout).toContain(
      "gpu    online       -     -          -  reachable  old service",
    );
  });

  test("shows only those named, and names those there are when one is not", async () => {
    await mixedFleet();
    expect((await site.run(["agents", "--agent", "gpu-3"])).stdout.split("\n").length).toBe(3);
    const { status, stderr } = await site.run(["agents", "--agent", "gpu-9"]);
    expect([status, stderr]).toEqual([
      66,
      'error: No agent "gpu-9" has published its state here\n  There are: gpu-1, gpu-2, gpu-3, gpu-4\n',
    ]);
  });

  test("puts its head in bold on a terminal with colours only", async () => {
    await site.agent("gpu-1");
    expect((await site.run(["agents"], { terminal: true, color: true })).stdout).toStartWith("\u001b[1mAGENT");
    expect((await site.run(["agents"], { terminal: true, color: false })).stdout).toStartWith("AGENT");
    expect((await site.run(["agents"], { terminal: false, color: true })).stdout).toStartWith("AGENT");
  });
});

describe("ping", () => {
  test("measures each agent that has not stopped", async () => {
    await site.agent("gpu-1");
    await site.agent("gpu-2");
    await (await site.agent("gpu-3")).publish({ status: "stopped" });
    const { status, stdout } = await site.run(["ping"]);
    expect([status, stdout]).toEqual([0, "AGENT  ROUND TRIP\ngpu-1  0.0 ms\ngpu-2  0.0 ms\n"]);
  });

  test("exits by the code of the only agent asked", async () => {
    await mixedFleet();
    const { status, stdout, stderr } = await site.run(["ping", "--agent", "gpu-4"]);
    expect([status, stdout]).toEqual([69, ""]);
    expect(stderr).toStartWith("error: Agent gpu-4 is silent for 200 s\n  Is the box up");
    const json = await site.run(["ping", "--agent", "gpu-4", "--json"]);
    expect(json.status).toBe(69);
    const error = "Agent gpu-4 is silent for 200 s";
    expect(JSON.parse(json.stdout)).toEqual({ agents: [{ agent: "gpu-4", rtt_ms: null, code: "unavailable", error }] });
  });

  test("exits with 1 when not all of several answer, and shows both", async () => {
    await mixedFleet();
    const { status, stdout, stderr } = await site.run(["ping", "--agent", "gpu-1,gpu-4"]);
    expect([status, stderr]).toEqual([1, "1 of 2 agents failed\n"]);
    expect(stdout).toContain("gpu-1  0.0 ms\ngpu-4  failed: Agent gpu-4 is silent for 200 s");
  });

  test("tells of an agent that takes no command in time", async () => {
    await site.agent("gpu-1", { answer: () => undefined });
    const { status, stderr } = site.start(["ping", "--timeout", "2"]);
    await site.clock.advance(2_000);
    expect(await status).toBe(75);
    expect(stderr.text).toStartWith("error: No answer within 2 s: not yet answered by gpu-1");
  });

  test("fails with unimplemented at an old service and with unavailable when nobody is there", async () => {
    expect((await site.run(["ping"])).status).toBe(69);
    await site.oldService({ success: true });
    expect(await site.run(["ping"])).toMatchObject({
      status: 69,
      stderr: "error: Agent gpu is an old service and has no ping\n  Install gpu-agent on that box\n",
    });
  });
});

describe("jobs", () => {
  const progress = { completed_bytes: 3.9e9, total_bytes: 9.1e9, bytes_per_second: 56e6, eta_seconds: 93 };
  const job = jobOf({ state: "running", ...progress });

  async function threeJobs(): Promise<void> {
    const agent = await site.agent("gpu-1");
    const ended = { ...job, state: "succeeded", completed_bytes: 2e9, ended_at: site.ago(3_600) } as const;
    const failed = { ...job, id: "01a20aac-0000-7785-b91f-000000000001", state: "failed", code: "not_found" } as const;
    agent.jobs = [
      { ...ended, id: "01a20aac-0000-7785-b91f-000000000002", started_at: site.ago(3_700) },
      {
        ...failed,
        completed_bytes: 0,
        total_bytes: null,
        ended_at: site.ago(60),
        error: "pull model manifest: no such file",
      },
      job,
    ];
    await agent.publish();
  }

  test("shows those under way first, then the last ended", async () => {
    await threeJobs();
    const { status, stdout, stderr } = await site.run(["jobs"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toBe(
      [
        "JOB                                   AGENT  MODEL        STATE      PROGRESS",
        "01a20aac-24d0-7785-b91f-da066d157a40  gpu-1  phi4:latest  running    42 %, 3.9 GB of 9.1 GB, 56.0 MB/s, 1 min 33 s left",
        "01a20aac-0000-7785-b91f-000000000001  gpu-1  phi4:latest  failed     ended 1 minute ago, pull model manifest: no such file",
        "01a20aac-0000-7785-b91f-000000000002  gpu-1  phi4:latest  succeeded  2.0 GB in 1 min 40 s, ended 1 hour ago",
        "",
      ].join("\n"),
    );
  });

  test("shortens ids on a terminal, to fit it", async () => {
    await threeJobs();
    const { stdout } = await site.run(["jobs"], { terminal: true });
    expect(stdout).toContain("\nda066d157a40  gpu-1  phi4:latest  running    42 %, 56.0 MB/s, 1 min 33 s left\n");
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  test("prints the document of /v1/jobs under --json, with the agents that are away", async () => {
    await site.agent("gpu-2");
    await site.clock.advance(60_000);
    await threeJobs();
    const { status, stdout } = await site.run(["jobs", "--json"]);
    const document = JobsDocument.parse(JSON.parse(stdout));
    expect([status, document.jobs.length]).toEqual([0, 3]);
    expect(document.unavailable).toEqual([{ agent: "gpu-2", code: "unavailable", reason: "silent for 60 s" }]);
  });

  test("says that there is none and how to start one", async () => {
    await site.agent("gpu-1");
    expect(await site.run(["jobs"])).toEqual({
      status: 0,
      stdout: "",
      stderr: "No job is known\n  Start one: gpuctl pull phi4\n",
    });
  });

  test("fails with unavailable when no agent is there", async () => {
    expect((await site.run(["jobs"])).status).toBe(69);
    expect(JSON.parse((await site.run(["jobs", "--json"])).stderr)).toMatchObject({ error: { code: "unavailable" } });
  });
});
