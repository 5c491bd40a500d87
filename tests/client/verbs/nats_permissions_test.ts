// gpuctl nats-permissions: what it prints. tests/nats/permissions_test.ts tries the result on a nats-server.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { KEYS, Layout } from "#src/transport/nats/layout.ts";
import { agentSubjects } from "#src/transport/nats/permissions.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";

const KEY = "UC7U7JXROYD2KFGG2RPGOIWFZRSOY5BKHSG3NXIJIDBT5OHFVZE6RUZ5";
const SEED = "SUALW477JNOJAKZNTCQ6CIIPBX2SV7UTYN7FKVBW5FBIFRRLLOBQ446Z6E";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  await site.close();
});

async function printed(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await site.run(["nats-permissions", ...args]);
  expect([status, stderr]).toEqual([0, ""]);
  return stdout;
}

describe("agentSubjects()", () => {
  const layout = new Layout();

  test("has the agent's name as a whole token of each subject, but for the roster and the addresses for replies", () => {
    const { publish, subscribe } = agentSubjects(layout, "gpu-1");
    const others = [...publish, ...subscribe].filter((subject) => !/[._]gpu-1(?:\.|$)/.test(subject));
    expect(others).toEqual([layout.getSubject("states", KEYS.roster), layout.getSubject("responses", "*.sender")]);
  });

  test("ends in no wildcard that a client could widen beyond the agent's own entries", () => {
    const open = agentSubjects(layout, "gpu-1").publish.filter((subject) => subject.endsWith("*"));
    expect(open.filter((subject) => !subject.includes("gpu-1.*"))).toEqual([]);
    expect(agentSubjects(layout, "gpu-1").publish.filter((subject) => subject.includes(">"))).toEqual([]);
  });

  test("permits only direct gets of the JetStream API, each of one key", () => {
    const api = agentSubjects(layout, "gpu-1").publish.filter((subject) => subject.startsWith("$JS"));
    expect(api.filter((subject) => !/^\$JS\.API\.DIRECT\.GET\.KV_\w+\.\$KV\.\w+\./.test(subject))).toEqual([]);
  });
});

describe("nats-permissions", () => {
  test("without agents prints three accounts: what one exports the next imports, without JetStream, and nothing leads to the store", async () => {
    const text = await printed();
    const [first = "", second = "", store = ""] = text.split(/GPU_COURIER_(?:AGENTS|STORE): \{/);
    const hasJetStream = [first, second, store].map((account) => account.includes("jetstream: enabled"));
    expect(hasJetStream).toEqual([true, false, true]);
    expect(store).not.toMatch(/import|export/);
    const exported = [...first.matchAll(/\{ (\w+: "[^"]+"), accounts: \[GPU_COURIER_AGENTS\] \}/g)].map(([, it]) => it);
    const imported = [...second.matchAll(/\{ (\w+): \{ account: GPU_COURIER, subject: ("[^"]+") \} \}/g)];
    expect(imported.map(([, kind, subject]) => `${kind}: ${subject}`)).toEqual(exported.map(String));
    expect(exported).toContain('service: "$KV.gpu_courier_states.*"');
    expect(second).toContain('include "gpu_courier_agents.conf"');
  });

  test("with agents prints a user for each, with its key or a variable in its place, and names those without", async () => {
    const text = await printed(`gpu-1=${KEY}`, "gpu-2");
    expect(text).toContain(`{ nkey: ${KEY}, permissions: {`);
    expect(text).toContain("{ nkey: $nkey_gpu-2, permissions: {");
    expect(text).toContain("# Missing: the public keys of gpu-2.");
    expect(await printed(`gpu-1=${KEY}`)).not.toContain("Missing");
  });

  test("prints an agent that is named twice once, with its last key", async () => {
    const text = await printed("gpu-1", `gpu-1=${KEY}`);
    expect(text.match(/nkey:/g)?.length).toBe(1);
    expect(text).toContain(KEY);
  });

  test("--nats-prefix is in all names, so that two installations share a NATS", async () => {
    const text = `${await printed("--nats-prefix", "lab")}${await printed("--nats-prefix", "lab", "gpu-1")}`;
    expect(text).toContain("LAB_AGENTS: {");
    expect(text).toContain('"$KV.lab_states.gpu-1"');
    expect(text.toLowerCase().replaceAll("gpu-courier", "")).not.toContain("gpu_courier");
  });

  test("--json prints the same text with what it is for", async () => {
    const configuration = await printed("gpu-1");
    const document = JSON.parse(await printed("gpu-1", "--json"));
    expect(document).toEqual({ prefix: "gpu_courier", agents: ["gpu-1"], configuration });
  });

  test.each([
    [["Gpu1"], 'Not the name of an agent: "Gpu1"'],
    [["gpu-1*"], 'Not the name of an agent: "gpu-1*"'],
    [["gpu-1=x"], "Cannot use the key of gpu-1: this is no public key of a user"],
    [[`gpu-1=${SEED}`], "Cannot use the key of gpu-1: this is its seed, which is secret"],
    [["--nats-prefix", "A.b"], "Use 1 to 32 of a-z, 0-9 and _"],
  ])("refuses %p, and repeats no secret", async (args, reason) => {
    const { status, stdout, stderr } = await site.run(["nats-permissions", ...args]);
    expect([status, stdout]).toEqual([64, ""]);
    expect(stderr).toContain(reason);
    expect(stderr).not.toContain(SEED);
  });
});
