// gpuctl disk and prune, on the share and through gpu-server's routes.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { DiskDocument, PrunedDocument } from "#src/documents/models/disk.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";
import { ScriptedAgent, USAGE } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => await site.close());

const PRUNED = {
  bytes: 0,
  count: 0,
  removed: [],
  kept: [{ kind: "orphan", digest: "sha256:dd", bytes: 1, reason: "it changed less than an hour ago" }],
} as const;
const OLD = { success: false, code: "unimplemented", error: 'Unknown command "disk_usage"' } as const;

describe("disk", () => {
  test("shows each box in 80 columns, and of one that is named its models and left-overs", async () => {
    for (const name of ["gpu-1", "gpu-2"]) await site.agent(name);
    const all = await site.run(["disk"], { terminal: true });
    expect([all.status, all.stdout]).toEqual([
      0,
      [
        "AGENT  MODELS  PARTIAL  ORPHANED      FREE     TOTAL",
        "gpu-1  9.1 GB   1.2 GB    2.0 GB  412.0 GB  983.0 GB",
        "gpu-2  9.1 GB   1.2 GB    2.0 GB  412.0 GB  983.0 GB",
        "",
      ].join("\n"),
    ]);
    const one = (await site.run(["disk", "gpu-1"], { terminal: true })).stdout;
    expect(one).toContain("phi4:latest");
    expect(one).toContain("download eeeeeeeeeeee of gemma3:12b");
    expect(one).toContain("orphan dddddddddddd");
    // A time of day would be in another time zone than the reader's.
    for (const left of ["download e", "orphan d"])
      expect(one.split("\n").find((line) => line.startsWith(left))).toMatch(/ (?:just now|\d+ \w+ ago)$/);
    for (const line of `${all.stdout}${one}`.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  test("--json has every byte", async () => {
    await site.agent("gpu-1");
    const { stdout } = await site.run(["disk", "--json"]);
    expect(DiskDocument.parse(JSON.parse(stdout)).agents).toEqual([
      { agent: "gpu-1", code: null, error: null, usage: USAGE },
    ]);
  });

  test("names the lists that the agent had to cut", async () => {
    const agent = await site.agent("gpu-1");
    agent.answer = () => ({ disk_usage: USAGE, truncated: ["disk_usage.models", "disk_usage.orphans", "models"] });
    const { stdout, stderr } = await site.run(["disk", "gpu-1"]);
    expect(stdout).toContain("phi4:latest");
    expect(stderr).toBe("Not all models, orphans are listed; the sums are of everything\n");
    const json = DiskDocument.parse(JSON.parse((await site.run(["disk", "--json"])).stdout));
    expect(json.agents[0]?.usage?.truncated).toEqual(["models", "orphans"]);
    agent.answer = () => ({
      pruned: { ...PRUNED, dry_run: true, removed: [], kept: [...PRUNED.kept] },
      truncated: ["pruned.kept"],
    });
    expect((await site.run(["prune", "gpu-1", "--dry-run"])).stdout).toContain("over 1 blob kept");
  });

  test("names the remedy for an older agent", async () => {
    const agent = await site.agent("gpu-1");
    agent.answer = () => OLD;
    const { status, stderr } = await site.run(["disk", "gpu-1"]);
    expect(status).toBe(69);
    expect(stderr).toContain("The agent on gpu-1 is too old for this");
    expect(stderr).toContain("Install this release of gpu-agent on gpu-1");
  });
});

describe("prune", () => {
  test("asks before it removes anything, with the sum of all boxes", async () => {
    for (const name of ["gpu-1", "gpu-2"]) await site.agent(name);
    const { status, stderr } = await site.run(["prune", "--all"], { answer: "n" });
    expect([status, stderr]).toEqual([130, "Remove 4 blobs (6.4 GB) from 2 boxes? [y/N] n\nNothing was changed\n"]);
    expect((await site.run(["prune", "--all"], { answer: "y" })).stdout).toContain("removed 2 blobs, 3.2 GB");
    const again = await site.run(["prune", "--all"], { answer: "n" });
    expect([again.status, again.stderr]).toEqual([0, ""]);
    expect(again.stdout).toContain("nothing to remove");
  });

  test("--dry-run shows what it would remove, and --yes removes it", async () => {
    const agent = await site.agent("gpu-1");
    const dry = await site.run(["prune", "gpu-1", "--dry-run"]);
    expect([dry.status, dry.stdout, dry.stderr]).toEqual([
      0,
      "AGENT  DRY RUN\ngpu-1  would remove 2 blobs, 3.2 GB\n",
      "Nothing was changed\n",
    ]);
    const partials = await site.run(["prune", "gpu-1", "--partials", "--yes"]);
    expect(partials.stdout).toContain("removed 1 blob, 1.2 GB");
    expect(agent.commands.map((command) => command.arguments)).toEqual([{ dry_run: true }, { partials: true }]);
  });

  test("--json has what was removed", async () => {
    await site.agent("gpu-1");
    const { stdout } = await site.run(["prune", "--orphans", "--json"]);
    const { agents } = PrunedDocument.parse(JSON.parse(stdout));
    expect(agents).toMatchObject([
      { agent: "gpu-1", pruned: { count: 1, bytes: USAGE.orphans_bytes, dry_run: false } },
    ]);
  });

  test("needs a name or --all where there are several boxes", async () => {
    for (const name of ["gpu-1", "gpu-2"]) await site.agent(name);
    expect((await site.run(["prune", "--yes"])).status).toBe(73);
  });
});

describe("/v1", () => {
  test("shows a disk to a viewer, and prunes for those who may change something", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", {});
    const shown = await server.call("GET", "/v1/agents/gpu-1/disk", { token: server.viewer });
    expect([shown.status, DiskDocument.parse(shown.body).agents[0]?.usage]).toEqual([200, USAGE]);
    const prune = async (options: object) => await server.call("POST", "/v1/agents/gpu-1/prune", options);
    expect((await prune({ token: server.viewer, body: { dry_run: true } })).status).toBe(403);
    expect((await prune({ body: { dry_run: "yes" } })).status).toBe(400);
    const dry = await prune({ body: { dry_run: true, orphans: true } });
    expect(PrunedDocument.parse(dry.body).agents[0]?.pruned).toMatchObject({ dry_run: true, count: 1 });
    expect((await prune({})).status).toBe(200);
    expect(agent.usage.partials).toEqual([]);
  });

  test("says that an agent is too old", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { answer: () => OLD });
    const { status, body } = await server.call("GET", "/v1/agents/gpu-1/disk");
    expect([status, body.hint]).toEqual([501, "Install this release of gpu-agent on gpu-1"]);
  });
});
