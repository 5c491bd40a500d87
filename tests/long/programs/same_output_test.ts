// Every verb prints the same, with the same exit status, over the share and through gpu-server.
import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { newPull, type RunningModel } from "#src/protocol.ts";
import { rawKey, signingKey } from "#src/trust/keys.ts";
import { masked, TwoWays, WAYS } from "#tests/client/ways/two_ways.ts";
import { answerAsAgent, modelOf, type ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

const ID = "01a20aac-24d0-7785-b91f-da066d157a40";
const PHI4 = modelOf("phi4:latest");
const SMALL = modelOf("llama3.2:1b", { size: 1e9, digest: "b00c", modified_at: "2026-04-01T10:00:00Z" });
const LOADED: RunningModel = { name: "phi4:latest", size: 10e9, size_vram: 4e9, expires_at: "2090-03-01T10:05:00Z" };

interface Scenario {
  readonly status: number;
  readonly argv: readonly string[];
  readonly prepare?: (site: TwoWays, agents: Fleet) => Promise<void>;
  /** Why the text on stderr is another. */
  readonly otherwise?: string;
}

interface Fleet {
  readonly first: ScriptedAgent;
  readonly second: ScriptedAgent;
}

const refuses = () =>
  ({ success: false, code: "exhausted", error: "9.1 GB needed, 4.0 GB free", hint: "Remove a model" }) as const;

async function withJobs(site: TwoWays, { first, second }: Fleet): Promise<void> {
  const running = { state: "running", completed_bytes: 4e9, total_bytes: 9e9, started_at: first.now() } as const;
  first.jobs = [{ ...newPull(ID, "gpu-1", "mistral:latest"), ...running }];
  const ended = { state: "succeeded", completed_bytes: 9e9, total_bytes: 9e9, ended_at: second.now() } as const;
  second.jobs = [{ ...newPull(ID.replace("01a2", "01a1"), "gpu-2", "phi4:latest"), ...ended }];
  const refused = { at: first.now(), command_id: ID, command: "pull_model", model: "phi4", code: "forbidden" } as const;
  await site.publish(first, { refused: [{ ...refused, error: "It is not signed" }] });
  await site.publish(second);
}

async function withForgedJob(site: TwoWays, fleet: Fleet): Promise<void> {
  await withJobs(site, fleet);
  fleet.second.jobs = [{ ...newPull(ID, "gpu-2", "mistral:latest"), state: "running" }];
  await site.publish(fleet.second);
}

async function stopped(site: TwoWays, { second }: Fleet): Promise<void> {
  await site.publish(second, { status: "stopped" });
}

async function allStopped(site: TwoWays, { first, second }: Fleet): Promise<void> {
  for (const agent of [first, second]) await site.publish(agent, { status: "stopped" });
}

async function ollamaDown(site: TwoWays, { second }: Fleet): Promise<void> {
  const ollama = { reachable: false, version: null, error: "connection refused", checked_at: second.now() };
  await site.publish(second, { ollama });
}

async function degraded(site: TwoWays, { second }: Fleet): Promise<void> {
  await site.publish(second, { status: "degraded", degraded_reason: "another machine has this name" });
}

async function refusing(site: TwoWays): Promise<void> {
  await site.agent("gpu-3", { answer: refuses });
}

async function endPulls(site: TwoWays, { first }: Fleet): Promise<void> {
  void site;
  first.answer = (command, agent) => {
    const answer = answerAsAgent(command, agent);
    const end = { state: "succeeded", completed_bytes: 9e9, total_bytes: 9e9, ended_at: agent.now() } as const;
    agent.jobs = agent.jobs.map((job) => ({ ...job, ...end }));
    return answer;
  };
}

const KEY = signingKey(generateKeyPairSync("ed25519").privateKey);

async function signing(site: TwoWays): Promise<void> {
  await site.agent("gpu-3", { key: KEY });
}

/** gpu-10 comes after gpu-3. */
async function many(site: TwoWays): Promise<void> {
  for (const name of ["gpu-10", "gpu-3"]) {
    const agent = await site.agent(name, { models: [PHI4] });
    agent.running = [LOADED];
    agent.jobs = [
      { ...newPull(ID.replace("01a20aac", `01a2${name.slice(-1)}aac`), name, "qwen3:latest"), state: "running" },
    ];
    await site.publish(agent);
  }
}

async function legacy(site: TwoWays): Promise<void> {
  await site.legacyService();
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  agents: { status: 0, argv: ["agents"] },
  "agents that are named": { status: 0, argv: ["agents", "gpu-[1-2]"] },
  "agents --wide": { status: 0, argv: ["agents", "--wide"] },
  "agents with one stopped": { status: 0, argv: ["agents"], prepare: stopped },
  "agents with one whose Ollama is down": { status: 0, argv: ["agents"], prepare: ollamaDown },
  "agents with one degraded": { status: 0, argv: ["agents"], prepare: degraded },
  "agents of an unknown name": { status: 66, argv: ["agents", "--agent", "gpu-9"] },
  list: { status: 0, argv: ["list"] },
  "list --fresh": { status: 0, argv: ["list", "--fresh"] },
  "list --wide": { status: 0, argv: ["list", "--wide"] },
  "list of many agents": { status: 0, argv: ["list"], prepare: many },
  "agents of many": { status: 0, argv: ["agents"], prepare: many },
  "jobs of many": { status: 0, argv: ["jobs"], prepare: many },
  "ps of many": { status: 0, argv: ["ps"], prepare: many },
  "ping of many": { status: 0, argv: ["ping"], prepare: many },
  "list of two agents": { status: 0, argv: ["list", "--agent", "gpu-1,gpu-2"] },
  "list of a range": { status: 0, argv: ["list", "--agent", "gpu-[1-2],gpu-10"], prepare: many },
  "list of a pattern": { status: 0, argv: ["list", "--fresh", "--agent", "gpu-?"], prepare: many },
  "list of a range with an unknown agent": { status: 66, argv: ["list", "--agent", "gpu-[1-3]"] },
  "jobs of a pattern": { status: 0, argv: ["jobs", "--agent", "*-1*"], prepare: withJobs },
  "rm --dry-run of a pattern": {
    status: 0,
    argv: ["rm", "phi4", "--agent", "gpu-1*,gpu-2", "--dry-run"],
    prepare: many,
  },
  "ping of a pattern that matches nothing": { status: 66, argv: ["ping", "--agent", "gpu-9*"] },
  "list with one stopped": { status: 0, argv: ["list"], prepare: stopped },
  "list with one whose Ollama is down": { status: 0, argv: ["list", "--all"], prepare: ollamaDown },
  "list with all stopped": { status: 69, argv: ["list"], prepare: allStopped },
  "list of an unknown prefix": { status: 66, argv: ["list", "nosuch"], prepare: stopped },
  "list of an unknown agent": { status: 66, argv: ["list", "--agent", "gpu-9"] },
  ps: { status: 0, argv: ["ps"] },
  "ps --fresh": { status: 0, argv: ["ps", "--fresh"] },
  "ps with one stopped": { status: 0, argv: ["ps"], prepare: stopped },
  "ps with all stopped": { status: 69, argv: ["ps"], prepare: allStopped },
  jobs: { status: 0, argv: ["jobs"], prepare: withJobs },
  "jobs of one agent": { status: 0, argv: ["jobs", "--agent", "gpu-1"], prepare: withJobs },
  "jobs in full": { status: 0, argv: ["jobs", "--wide"], prepare: withJobs },
  "jobs that run": { status: 0, argv: ["jobs", "--active"], prepare: withJobs },
  "jobs of a model": { status: 0, argv: ["jobs", "mistral"], prepare: withJobs },
  "jobs of a model and an id": { status: 0, argv: ["jobs", "mistral", ID], prepare: withJobs },
  "jobs of an unknown model": { status: 66, argv: ["jobs", "nosuch"], prepare: withJobs },
  "jobs of states": { status: 0, argv: ["jobs", "--state", "running,retrying"], prepare: withJobs },
  "jobs of an id": { status: 0, argv: ["jobs", ID], prepare: withJobs },
  "jobs of an id that two agents publish": { status: 73, argv: ["jobs", ID], prepare: withForgedJob },
  "jobs of an id of one of them": { status: 0, argv: ["jobs", ID, "--agent", "gpu-1"], prepare: withForgedJob },
  "jobs of an unknown id": { status: 66, argv: ["jobs", "dddddddddddd"], prepare: withJobs },
  "jobs without any": { status: 0, argv: ["jobs"] },
  "jobs with one stopped": { status: 0, argv: ["jobs"], prepare: stopped },
  show: { status: 0, argv: ["show", "phi4"] },
  "show on a named agent": { status: 0, argv: ["show", "phi4", "--agent", "gpu-2"] },
  "show of an unknown model": { status: 66, argv: ["show", "nosuch"] },
  "show of an unknown model on an agent": {
    status: 66,
    argv: ["show", "nosuch", "--agent", "gpu-1"],
    otherwise: "gpu-server knows what the agent has, and asks it for no other name: the words are its own",
  },
  "show on two agents": { status: 64, argv: ["show", "phi4", "--all"] },
  ping: { status: 0, argv: ["ping"] },
  "ping of a named agent": { status: 0, argv: ["ping", "gpu-1"] },
  "ping with one stopped": { status: 0, argv: ["ping"], prepare: stopped },
  "ping of a stopped agent": { status: 69, argv: ["ping", "--agent", "gpu-2"], prepare: stopped },
  "ping of one that refuses": { status: 75, argv: ["ping", "--agent", "gpu-3"], prepare: refusing },
  "ping twice": { status: 0, argv: ["ping", "--count", "2", "--interval", "0.01", "--agent", "gpu-1"] },
  rm: { status: 0, argv: ["rm", "phi4", "--agent", "gpu-1"] },
  "rm everywhere": { status: 0, argv: ["rm", "llama3.2:1b", "--all"] },
  "rm without an agent": { status: 73, argv: ["rm", "phi4"] },
  "rm of an unknown model": { status: 66, argv: ["rm", "nosuch", "--agent", "gpu-1"] },
  "rm by one that refuses": { status: 75, argv: ["rm", "phi4", "--agent", "gpu-3"], prepare: refusing },
  "rm --dry-run": { status: 0, argv: ["rm", "llama3.2:1b", "nosuch", "--all", "--dry-run"], prepare: many },
  "rm --dry-run on one agent": { status: 0, argv: ["rm", "phi4", "--agent", "gpu-2", "--dry-run"] },
  "rm --dry-run of what is pulled": {
    status: 0,
    argv: ["rm", "mistral", "--all", "--dry-run"],
    prepare: withJobs,
  },
  "rm --dry-run with one stopped": { status: 0, argv: ["rm", "phi4", "--all", "--dry-run"], prepare: stopped },
  "rm --dry-run with a legacy service": { status: 0, argv: ["rm", "phi4", "--all", "--dry-run"], prepare: legacy },
  "pull --dry-run": { status: 0, argv: ["pull", "phi4", "mistral", "--all", "--dry-run"] },
  "pull --dry-run of what is pulled": {
    status: 0,
    argv: ["pull", "mistral", "--all", "--dry-run"],
    prepare: withJobs,
  },
  "pull --detach": { status: 0, argv: ["pull", "mistral", "--all", "--detach"] },
  "load --dry-run": { status: 0, argv: ["load", "llama3.2:1b", "--all", "--dry-run"] },
  "stop --dry-run": { status: 0, argv: ["stop", "phi4", "--all", "--dry-run"] },
  "cp --dry-run": { status: 0, argv: ["cp", "llama3.2:1b", "mine", "--all", "--dry-run"] },
  "cancel --dry-run": { status: 0, argv: ["cancel", "mistral", "--dry-run"], prepare: withJobs },
  "wait for an ended job": { status: 0, argv: ["wait", ID.replace("01a2", "01a1")], prepare: withJobs },
  "wait for an unknown job": { status: 66, argv: ["wait", "nosuch"], prepare: withJobs },
  cp: { status: 0, argv: ["cp", "phi4", "mine", "--all"] },
  load: { status: 0, argv: ["load", "phi4", "--agent", "gpu-1", "--keep-alive", "1h30m"] },
  "load forever": { status: 0, argv: ["load", "phi4", "--all", "--keep-alive", "-1"] },
  "load of an unknown model": { status: 66, argv: ["load", "nosuch", "--agent", "gpu-1"] },
  "load for no time": { status: 64, argv: ["load", "phi4", "--agent", "gpu-1", "--keep-alive", "0"] },
  stop: { status: 0, argv: ["stop", "phi4", "--agent", "gpu-1"] },
  "pull to its end": { status: 0, argv: ["pull", "mistral", "--agent", "gpu-1"], prepare: endPulls },
  "pull by one that refuses": { status: 75, argv: ["pull", "mistral", "--agent", "gpu-3"], prepare: refusing },
  "pull by a stopped agent": { status: 69, argv: ["pull", "mistral", "--agent", "gpu-2"], prepare: stopped },
  "pull of no name": { status: 64, argv: ["pull", "a b", "--agent", "gpu-1"] },
  cancel: { status: 0, argv: ["cancel", "mistral"], prepare: withJobs },
  "cancel of an id": { status: 0, argv: ["cancel", ID], prepare: withJobs },
  "cancel of an ended one": { status: 73, argv: ["cancel", ID.replace("01a2", "01a1")], prepare: withJobs },
  "cancel of an unknown one": { status: 66, argv: ["cancel", "nosuch"], prepare: withJobs },
  "agents with one that signs": { status: 0, argv: ["agents"], prepare: signing },
  "agents with a legacy service": { status: 0, argv: ["agents"], prepare: legacy },
  "ps with a legacy service": { status: 0, argv: ["ps"], prepare: legacy },
  "trust of an agent that signs": { status: 0, argv: ["trust", "gpu-3", rawKey(KEY)], prepare: signing },
  "trust of an agent that signs no more": { status: 0, argv: ["trust", "gpu-1", "--unsigned"] },
  "trust of no key": { status: 64, argv: ["trust", "gpu-3", "nonsense"], prepare: signing },
  "trust of an agent that does not sign": { status: 66, argv: ["trust", "gpu-1"] },
};

async function open(): Promise<{ readonly site: TwoWays; readonly fleet: Fleet }> {
  const site = await TwoWays.open();
  const first = await site.agent("gpu-1", { models: [PHI4, SMALL] });
  const second = await site.agent("gpu-2", { models: [PHI4] });
  first.running = [LOADED];
  await site.publish(first);
  return { site, fleet: { first, second } };
}

describe("over the share and through gpu-server alike:", () => {
  for (const [name, { status, argv, prepare, otherwise }] of Object.entries(SCENARIOS))
    for (const json of [false, true])
      test(`${name}${json ? " --json" : ""}`, async () => {
        const runs = [];
        for (const way of WAYS) {
          const { site, fleet } = await open();
          await using _ = site;
          await prepare?.(site, fleet);
          runs.push(masked(await site.run(way, [...argv, ...(json ? ["--json"] : [])])));
        }
        const [share, server] = runs;
        if (otherwise === undefined) expect(server).toEqual(share);
        else expect({ ...server, stderr: "" }).toEqual({ ...share, stderr: "" });
        expect(share?.status).toBe(status);
      });
});

test.each([
  ["rm phi4 --all", "Delete phi4:latest from 2 boxes (18.1 GB)? [y/N] "],
  ["rm llama3.2:1b --all", "Delete llama3.2:1b from 2 boxes (1.0 GB on 1 of them)? [y/N] "],
  ["load phi4 --all", "Load phi4:latest on 2 boxes? [y/N] "],
  ["stop phi4 --all", "Unload phi4:latest on 2 boxes? [y/N] "],
])("the question before %s is the same", async (line, question) => {
  for (const way of WAYS) {
    const { site, fleet } = await open();
    await using _ = site;
    const { status, stderr } = await site.run(way, line.split(" "), { answer: "n" });
    expect([way, status, stderr]).toEqual([way, 130, `${question}n\nNothing was changed\n`]);
    expect([...fleet.first.commands, ...fleet.second.commands]).toEqual([]);
  }
});

test("doctor makes the same checks, after that of the way to gpu-server", async () => {
  const runs = [];
  for (const way of WAYS) {
    const { site } = await open();
    await using _ = site;
    const { status, stdout } = masked(await site.run(way, ["doctor"]));
    runs.push({ status, lines: stdout.replaceAll(site.url, "URL").split("\n") });
  }
  const [share, server] = runs;
  expect(server?.lines[0]).toBe("✓ server: gpu-server at URL made the checks below");
  expect({ status: server?.status, lines: server?.lines.slice(1, -2) }).toEqual({
    status: share?.status,
    lines: share?.lines.slice(0, -2),
  });
});

test("doctor of one agent leaves the others out, and names one that does not exist", async () => {
  const { site } = await open();
  await using _ = site;
  const of = async (agent: string): Promise<string> => (await site.run("server", ["doctor", "--agent", agent])).stdout;
  const first = await of("gpu-1");
  expect([first.includes("agent gpu-1"), first.includes("gpu-2")]).toEqual([true, false]);
  expect(await of("gpu-9")).toContain('fleet: Unknown agent "gpu-9"');
});
