// /agents/{agent}/api/pull: a job of the box as Ollama shows a pull.
import { describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { type Job, newPull } from "#src/protocol.ts";
import type { PullLine } from "#src/server/ollama/pull_lines.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";

const PULL = "/agents/gpu-1/api/pull";
const BODY = { model: "phi4" };

async function change(server: ServerUnderTest, agent: ScriptedAgent, job: Partial<Job>): Promise<void> {
  agent.jobs = agent.jobs.map((each) => ({ ...each, ...job }));
  await agent.publish();
  await server.services.fleet.refresh(agent.name);
}

/** The lines of a response, as they arrive. */
function linesOf(response: Response): { readonly lines: PullLine[]; readonly ended: Promise<void> } {
  const lines: PullLine[] = [];
  const read = async (): Promise<void> => {
    let rest = "";
    for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      const parts = `${rest}${chunk}`.split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts.map((line) => JSON.parse(line)));
    }
    expect(rest).toBe("");
  };
  return { lines, ended: read() };
}

const bytes = (completed_bytes: number, total_bytes: number | null): Partial<Job> => ({
  state: "running",
  phase: "downloading",
  completed_bytes,
  total_bytes,
});

describe("a stream", () => {
  test("has Ollama's words from the manifest to the success, with one digest and one total", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    const response = await server.request("POST", PULL, { body: BODY });
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/x-ndjson"]);
    expect(response.headers.get("x-gpu-courier-job")).toBe(agent.jobs[0]?.id ?? "");
    const { lines, ended } = linesOf(response);
    for (const [completed, total, count] of [
      [0, null, 1],
      [0, 1000, 1],
      [500, 1000, 2],
      [400, 1000, 2],
      [1000, 2000, 2],
      [1500, 2000, 3],
    ] as const) {
      await change(server, agent, bytes(completed, total));
      await until(() => lines.length >= count);
      expect(lines).toHaveLength(count);
    }
    await change(server, agent, { phase: "verifying", state: "verifying" });
    await change(server, agent, { state: "succeeded", phase: null, ended_at: agent.now() });
    await ended;
    const digest = lines[1]?.digest ?? "";
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    const status = `pulling ${digest.slice(7, 19)}`;
    expect(lines).toEqual([
      { status: "pulling manifest" },
      { status, digest, total: 1000, completed: 500 },
      { status, digest, total: 1000, completed: 750 },
      { status, digest, total: 1000, completed: 1000 },
      { status: "verifying sha256 digest" },
      { status: "writing manifest" },
      { status: "success" },
    ]);
  });

  test("has all bytes of a pull that ends before its first progress", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    const { lines, ended } = linesOf(await server.request("POST", PULL, { body: BODY }));
    await until(() => agent.jobs.length === 1);
    await change(server, agent, { state: "succeeded", completed_bytes: 70, total_bytes: 70 });
    await ended;
    expect(lines.map(({ total, completed }) => [total, completed])[1]).toEqual([70, 70]);
    expect(lines.at(-1)).toEqual({ status: "success" });
  });

  test("repeats its last line at least every 15 s", async () => {
    const clock = new ManualClock();
    await using server = await openServer({ clock });
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    const { lines } = linesOf(await server.request("POST", PULL, { body: BODY }));
    await until(() => lines.length === 1);
    for (const count of [2, 3, 4]) {
      await clock.advance(15_000);
      await until(() => lines.length >= count);
    }
    expect(new Set(lines.map(({ status }) => status))).toEqual(new Set(["pulling manifest"]));
    await change(server, agent, { state: "cancelled", code: "cancelled" });
  });

  test.each([
    ["not_found", 'Cannot pull "phi4": Ollama says: status 404', "pull model manifest: file does not exist"],
    ["exhausted", 'Cannot pull "phi4": no space left', 'Cannot pull "phi4": no space left'],
  ] as const)("ends with the error of a pull that fails as %s", async (code, error, said) => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    const { lines, ended } = linesOf(await server.request("POST", PULL, { body: BODY }));
    await until(() => agent.jobs.length === 1);
    await change(server, agent, { state: "failed", code, error });
    await ended;
    expect(lines.at(-1)).toEqual({ error: said });
  });

  test("of a second caller joins the job", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { answer: joining });
    const [first, second] = [
      await server.request("POST", PULL, { body: BODY }),
      await server.request("POST", PULL, { body: BODY }),
    ];
    const both = [linesOf(first), linesOf(second)];
    expect(second.headers.get("x-gpu-courier-job")).toBe(first.headers.get("x-gpu-courier-job"));
    await change(server, agent, { state: "succeeded" });
    for (const { ended } of both) await ended;
    for (const { lines } of both) expect(lines.at(-1)).toEqual({ status: "success" });
  });
});

/** As an agent: a second pull of a model joins the first. */
const joining: ScriptedAgent["answer"] = ({ command, command_id, arguments: given }, agent) => {
  if (command === "cancel_job") {
    agent.jobs = agent.jobs.map((job) => (job.id === given?.["job_id"] ? { ...job, state: "cancelled" } : job));
    return { job: agent.jobs[0] };
  }
  if (agent.jobs.length === 0) agent.jobs.push(newPull(command_id, agent.name, "phi4:latest"));
  return { job: agent.jobs[0] };
};

describe("without a stream", () => {
  test("the end is one object, a failure with status 500", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    for (const [job, status, body] of [
      [{ state: "succeeded" }, 200, { status: "success" }],
      [{ state: "failed", code: "not_found", error: "no" }, 500, { error: "pull model manifest: file does not exist" }],
    ] as const) {
      agent.jobs = [];
      const asked = server.call("POST", PULL, { body: { ...BODY, stream: false } });
      await until(() => agent.jobs.length === 1);
      await change(server, agent, job);
      const answer = await asked;
      expect([answer.status, answer.body]).toEqual([status, body]);
    }
  });

  test("a long pull sends white space, and breaks off behind the reason when it fails", async () => {
    for (const [job, text] of [
      [{ state: "succeeded" }, '{"status":"success"}'],
      [{ state: "failed", code: "internal", error: "no" }, null],
    ] as const) {
      const clock = new ManualClock();
      await using server = await openServer({ clock });
      const agent = await ScriptedAgent.open(server.store, "gpu-1");
      const headers = { "accept-encoding": "gzip" };
      const asked = server.request("POST", PULL, { body: { ...BODY, stream: false }, headers });
      await until(() => agent.jobs.length === 1);
      await until(async () => {
        await clock.advance(5000);
        return await Promise.race([asked.then(() => true), Bun.sleep(1).then(() => false)]);
      });
      const response = await asked;
      expect([response.status, response.headers.get("cache-control")]).toEqual([200, "no-store, no-transform"]);
      let whole: string | null | undefined;
      void response.text().then(
        (read) => (whole = read),
        () => (whole = null),
      );
      await change(server, agent, job);
      await until(async () => {
        await clock.advance(200);
        return whole !== undefined;
      });
      if (text === null) expect(whole).toBeNull();
      else expect(whole?.trim()).toBe(text);
    }
  });
});

describe("a pull that the box refuses", () => {
  test.each([
    [
      "not_found",
      "No such model in the registry",
      404,
      "pull model manifest: file does not exist (No such model in the registry)",
    ],
    ["exhausted", "It does not fit", 507, "It does not fit"],
    ["forbidden", "Not from this registry", 403, "Not from this registry"],
  ] as const)("as %s has its status", async (code, error, status, said) => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { answer: () => ({ success: false, code, error }) });
    const answer = await server.call("POST", PULL, { body: BODY });
    expect([answer.status, answer.body]).toEqual([status, { error: said }]);
  });

  test.each([[{}], [{ model: "a b" }], [{ model: "../x" }]])("or has an invalid name: %p", async (body) => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    const answer = await server.call("POST", PULL, { body });
    expect([answer.status, answer.body]).toEqual([400, { error: "invalid model name" }]);
    expect(agent.commands).toEqual([]);
  });
});

describe("a client that goes away", () => {
  test("leaves its pull to the box", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { answer: joining });
    const response = await server.request("POST", PULL, { body: BODY });
    await response.body?.cancel();
    await until(() => server.services.listeners.total === 0);
    await Bun.sleep(50);
    expect(agent.commands.map(({ command }) => command)).toEqual(["pull_model"]);
  });

  test("ends its pull with --cancel-on-disconnect, when it was the last", async () => {
    await using server = await openServer({ cancelsOnDisconnect: true });
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { answer: joining });
    const [first, second] = [
      await server.request("POST", PULL, { body: BODY }),
      await server.request("POST", PULL, { body: BODY }),
    ];
    await first.body?.cancel();
    await until(() => server.services.listeners.total === 1);
    expect(agent.jobs[0]?.state).toBe("queued");
    await second.body?.cancel();
    await until(() => agent.jobs[0]?.state === "cancelled");
  });

  test("never ends a pull that somebody else started just before, which no state shows yet", async () => {
    await using server = await openServer({ cancelsOnDisconnect: true });
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { answer: joining });
    agent.jobs = [{ ...newPull(Bun.randomUUIDv7(), "gpu-1", "phi4:latest"), requested_by: "somebody" }];
    const response = await server.request("POST", PULL, { body: BODY });
    await response.body?.cancel();
    await until(() => server.services.listeners.total === 0);
    await Bun.sleep(50);
    expect(agent.jobs[0]?.state).toBe("queued");
  });

  test("does not end the pull of the next client, which comes while the first one's is being cancelled", async () => {
    await using server = await openServer({ cancelsOnDisconnect: true });
    const canceling = Promise.withResolvers<undefined>();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", {
      answer: async (command, self) => {
        if (command.command === "cancel_job") await canceling.promise;
        if (command.command === "pull_model") self.jobs = self.jobs.filter(({ state }) => state !== "cancelled");
        return await joining(command, self);
      },
    });
    const first = await server.request("POST", PULL, { body: BODY });
    await first.body?.cancel();
    await until(() => agent.commands.length === 2);
    const second = server.request("POST", PULL, { body: { model: "PHI4" } });
    await Bun.sleep(50);
    canceling.resolve(undefined);
    const { lines, ended } = linesOf(await second);
    await until(() => agent.jobs.some(({ state }) => state === "queued"));
    await change(server, agent, { state: "succeeded" });
    await ended;
    expect(lines.at(-1)).toEqual({ status: "success" });
    expect(first.headers.get("x-gpu-courier-job")).not.toBe((await second).headers.get("x-gpu-courier-job"));
  });

  test("keeps its pull when the server stops, as its last line says", async () => {
    await using server = await openServer({ cancelsOnDisconnect: true });
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { answer: joining });
    const { lines, ended } = linesOf(await server.request("POST", PULL, { body: BODY }));
    await until(() => lines.length > 0);
    server.services.jobFeed.close();
    await ended;
    expect(lines.at(-1)?.error).toEndWith("the pull goes on: pull again to follow it");
    await Bun.sleep(50);
    expect(agent.commands.map(({ command }) => command)).toEqual(["pull_model"]);
  });

  test("ends its pull when its token is revoked, and does not read that it goes on", async () => {
    const clock = new ManualClock();
    await using server = await openServer({ clock, cancelsOnDisconnect: true });
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { answer: joining });
    const token = server.tokens.add("short", "gp");
    const { lines, ended } = linesOf(await server.request("POST", PULL, { body: BODY, token }));
    await until(() => lines.length > 0);
    server.tokens.revoke("short");
    await until(async () => {
      await clock.advance(5000);
      return lines.at(-1)?.error !== undefined;
    });
    await ended;
    expect(lines.at(-1)?.error).toBe("gpu-server ended the connection: the token is not valid any more");
    await until(() => agent.jobs[0]?.state === "cancelled");
  });

  test("never ends a pull that somebody else started", async () => {
    await using server = await openServer({ cancelsOnDisconnect: true });
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { answer: joining });
    agent.jobs = [newPull(Bun.randomUUIDv7(), "gpu-1", "phi4:latest")];
    await agent.publish();
    await server.services.fleet.refresh("gpu-1");
    const response = await server.request("POST", PULL, { body: BODY });
    await response.body?.cancel();
    await until(() => server.services.listeners.total === 0);
    await Bun.sleep(50);
    expect(agent.jobs[0]?.state).toBe("queued");
  });
});

test("a pull counts as a listener from its beginning", async () => {
  await using server = await openServer({ timeoutMs: 500 });
  await ScriptedAgent.open(server.store, "gpu-1", { answer: () => undefined });
  const response = server.request("POST", PULL, { body: BODY });
  await until(() => server.services.listeners.total === 1);
  expect((await response).status).toBe(504);
  expect(server.services.listeners.total).toBe(0);
});

test("a box that stays away ends the stream with the reason, and the pull goes on", async () => {
  const clock = new ManualClock();
  await using server = await openServer({ clock });
  const agent = await ScriptedAgent.open(server.store, "gpu-1");
  const { lines, ended } = linesOf(await server.request("POST", PULL, { body: BODY }));
  await until(() => lines.length === 1);
  await agent.publish({ status: "stopped" });
  await server.services.fleet.refresh("gpu-1");
  await until(async () => {
    await clock.advance(5000);
    return lines.at(-1)?.error !== undefined;
  });
  await ended;
  expect(lines.at(-1)?.error).toContain("gpu-1 stopped");
  expect(lines.at(-1)?.error).toEndWith("the pull goes on: pull again to follow it");
});

test("a share that stays away ends the stream with its own reason", async () => {
  const clock = new ManualClock();
  await using server = await openServer({ clock });
  await ScriptedAgent.open(server.store, "gpu-1");
  const { lines, ended } = linesOf(await server.request("POST", PULL, { body: BODY }));
  await until(() => lines.length === 1);
  server.store.interrupt(new CourierError("unavailable", "The share is away"));
  await until(async () => {
    await clock.advance(5000);
    return lines.at(-1)?.error !== undefined;
  });
  await ended;
  expect(lines.at(-1)?.error).toBe("The share is away; the pull goes on: pull again to follow it");
});
