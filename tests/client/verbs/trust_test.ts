// gpuctl and the keys of agents: trust, what agents and doctor show, and the file with the known keys.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgentsDocument } from "#src/documents/agents.ts";
import { TrustedDocument } from "#src/documents/trust.ts";
import { publicLine, rawKey } from "#src/trust/keys.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";
import { modelOf, type ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { unsignedState } from "#tests/trust/agents/signed_states.ts";
import { testKey } from "#tests/trust/test_key.ts";

const [MINE, OTHER] = [testKey(1), testKey(2)];

let site: ClientSite;
let dir: string;
let agent: ScriptedAgent;
beforeEach(async () => {
  site = new ClientSite();
  dir = mkdtempSync(join(tmpdir(), "gpu-courier-trust-"));
  agent = await site.agent("gpu-1", { models: [modelOf("phi4:latest")], key: MINE });
});
afterEach(async () => {
  await site.close();
  rmSync(dir, { recursive: true });
});

const file = () => join(dir, "known_agents.json");
const gpuctl = async (...argv: readonly string[]) => await site.run(argv, { knownAgentsFile: file() });

/** The box behind the name is another one now. */
async function replaceBox(): Promise<void> {
  await gpuctl("agents");
  agent.key = OTHER;
  await agent.publish();
}

async function forge(text: string): Promise<void> {
  const outsider = site.store.open();
  await outsider.connect();
  await outsider.publishState("gpu-1", text);
  await outsider.close();
}

describe("trust", () => {
  test("lists the keys of first use and the confirmed ones", async () => {
    expect((await gpuctl("trust")).stderr).toContain("No agent has signed yet");
    await gpuctl("agents");
    expect((await gpuctl("trust")).stdout).toBe(
      [`AGENT  KEY               STATUS`, `gpu-1  ${MINE.id}  first use`, ""].join("\n"),
    );
    expect((await gpuctl("trust", "gpu-1")).stdout).toBe(`gpu-1: known by the key ${MINE.id}\n`);
    expect(JSON.parse((await gpuctl("trust", "--json")).stdout)).toEqual({
      agents: [{ agent: "gpu-1", key_id: MINE.id, key_status: "confirmed" }],
    });
  });

  test("with the line of gpu-agent key needs no share, and no quotes", async () => {
    const line = publicLine(MINE, "gpu-1").split(" ");
    expect(await gpuctl("trust", "gpu-1", ...line)).toMatchObject({ status: 0, stderr: "" });
    expect((await gpuctl("trust", "gpu-1", rawKey(MINE))).status).toBe(0);
    const wrong = await gpuctl("trust", "gpu-1", "AAAA");
    expect(wrong).toMatchObject({ status: 64, stderr: expect.stringContaining("gpu-agent key") });
    expect((await gpuctl("trust", "../x", rawKey(MINE))).status).toBe(64);
    expect((await gpuctl("trust", "gpu-1", rawKey(MINE), "--unsigned")).status).toBe(64);
  });

  test("makes a box that was replaced right, and shows both keys", async () => {
    await replaceBox();
    expect((await gpuctl("list")).stderr).toContain("conflict");
    const refused = await gpuctl("trust", "gpu-1");
    expect([refused.status, refused.stderr.includes(OTHER.id), refused.stderr.includes(MINE.id)]).toEqual([
      73,
      true,
      true,
    ]);
    const { status, stdout } = await gpuctl("trust", "gpu-1", OTHER.id, "--json");
    expect(status).toBe(0);
    expect(TrustedDocument.parse(JSON.parse(stdout))).toEqual({
      agent: "gpu-1",
      key_id: OTHER.id,
      key_status: "confirmed",
      previous_key_id: MINE.id,
    });
    expect((await gpuctl("list")).stdout).toContain("phi4:latest");
    expect((await gpuctl("ping")).status).toBe(0);
  });

  test("--unsigned makes a downgraded agent count again", async () => {
    await gpuctl("agents");
    agent.key = null;
    await agent.publish();
    await site.clock.advance(30_000);
    expect((await gpuctl("agents", "--json")).stdout).toContain('"status":"offline"');
    expect((await gpuctl("trust", "gpu-1", "--unsigned")).stdout).toContain("unsigned documents count again");
    await agent.publish();
    expect((await gpuctl("list")).stdout).toContain("phi4:latest");
  });

  test("of an agent whose key was never seen names the way to get one", async () => {
    await site.agent("gpu-2");
    expect(await gpuctl("trust", "gpu-2")).toMatchObject({
      status: 66,
      stderr: expect.stringContaining("gpu-agent key"),
    });
  });
});

describe("agents and doctor", () => {
  test("agents shows keys only in its document, until one matters", async () => {
    expect((await gpuctl("agents")).stdout).not.toContain("first use");
    const { agents } = AgentsDocument.parse(JSON.parse((await gpuctl("agents", "--json")).stdout));
    expect(agents).toMatchObject([{ agent: "gpu-1", key_id: MINE.id, key_status: "first use" }]);
    await replaceBox();
    const { stdout } = await site.run(["agents"], { knownAgentsFile: file(), terminal: true });
    expect(stdout.replaceAll(/\s+/g, " ")).toContain("conflict: it is signed by");
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect((await gpuctl("agents", "--json")).stdout).toContain('"key_status":"conflict"');
  });

  test("an agent that never signed has no field for a key", async () => {
    await site.agent("gpu-2");
    const { agents } = AgentsDocument.parse(JSON.parse((await gpuctl("agents", "--json")).stdout));
    expect(Object.keys(agents[1] ?? {})).not.toContain("key_id");
    expect(Object.keys(agents[1] ?? {})).not.toContain("key_status");
  });

  test("doctor names a conflict with the deed to do, and keys that nobody confirmed", async () => {
    expect((await gpuctl("doctor")).stdout).toContain("keys of first use, which nobody has confirmed: gpu-1");
    await gpuctl("trust", "gpu-1");
    expect((await gpuctl("doctor")).stdout).toContain("1 agent signs, all with confirmed keys");
    await replaceBox();
    const { status, stdout } = await gpuctl("doctor");
    expect([status, stdout.includes("✗ agent_keys gpu-1: Conflict: "), stdout.includes("gpuctl trust gpu-1")]).toEqual([
      1,
      true,
      true,
    ]);
  });

  test("doctor names a forged document that the agent has replaced meanwhile", async () => {
    await gpuctl("agents");
    await forge(unsignedState("gpu-1"));
    const doctor = site.start(["doctor"], { knownAgentsFile: file() });
    await site.clock.advance(2_000);
    await agent.publish();
    await site.clock.advance(1_000);
    expect(await doctor.status).toBe(1);
    expect(doctor.stdout.text).toContain("✓ agent gpu-1: Online");
    expect(doctor.stdout.text).toContain(
      "✗ agent_keys gpu-1: A document under its name does not count: it is not signed",
    );
  });

  test("doctor warns of a copy of a document under another name", async () => {
    const outsider = site.store.open();
    await outsider.connect();
    const [own] = await outsider.readStates();
    await outsider.publishState("copy", own !== undefined && "text" in own.content ? own.content.text : "");
    await outsider.close();
    const { status, stdout } = await gpuctl("doctor");
    expect([status, stdout.includes("! agent_keys copy: "), stdout.includes("gpu_status/copy_status.json")]).toEqual([
      0,
      true,
      true,
    ]);
  });

  test("--verify-agents off believes every document, and all only signed ones", async () => {
    await replaceBox();
    expect((await gpuctl("list", "--verify-agents", "off")).stdout).toContain("phi4:latest");
    await site.agent("gpu-2", { models: [modelOf("other:latest")] });
    expect((await gpuctl("list", "--verify-agents", "all")).stderr).toContain("--verify-agents all");
  });
});

describe("the file with the known keys", () => {
  test("that is damaged stops what changes something, and is a warning for the rest", async () => {
    await gpuctl("agents");
    writeFileSync(file(), "half a docum");
    const listed = await gpuctl("list");
    expect([listed.status, listed.stdout.includes("phi4:latest")]).toEqual([0, true]);
    expect(listed.stderr).toContain(`Warning: Cannot use the agents' keys in ${file()}`);
    for (const argv of [["pull", "phi4"], ["rm", "phi4"], ["trust"], ["trust", "gpu-1"]]) {
      const { status, stderr } = await gpuctl(...argv);
      expect([status, stderr.split("Cannot use the agents' keys").length]).toEqual([64, 2]);
      expect(stderr).toContain("remove it");
    }
    expect(readFileSync(file(), "utf8")).toBe("half a docum");
  });

  test("that cannot be written is a warning, and trust fails", async () => {
    chmodSync(dir, 0o500);
    if (process.getuid?.() === 0) writeFileSync(`${dir}-file`, "");
    const path = process.getuid?.() === 0 ? join(`${dir}-file`, "known_agents.json") : file();
    const run = async (...argv: readonly string[]) => await site.run(argv, { knownAgentsFile: path });
    expect(await run("list")).toMatchObject({ status: 0, stderr: expect.stringContaining("Warning: Cannot ") });
    expect((await run("trust", "gpu-1")).status).toBe(77);
    chmodSync(dir, 0o700);
    rmSync(`${dir}-file`, { force: true });
    expect(existsSync(file())).toBe(false);
  });
});
