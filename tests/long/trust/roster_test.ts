// The roster with real processes: an operator's two commands reach every box and reader, and an old roster none.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { ProcessSite, type Running, until } from "#tests/process/site/site.ts";

const PHI = { name: "phi4:latest", layers: [2_000_000, 1000] };

let site: ProcessSite;
let ollama: SimulatedOllama;
let operators: readonly string[];
beforeEach(async () => {
  site = new ProcessSite();
  ollama = await site.ollama({ catalog: [PHI], installed: [PHI] });
  const line = (await site.gpuctl("roster", "key")).stdout;
  writeFileSync(join(site.dir, "operator_keys"), line);
  operators = ["--operator-keys", join(site.dir, "operator_keys")];
});
afterEach(async () => await site.close());

async function keyOfAgent(name: string): Promise<string> {
  const args = ["--name", name, "--state-dir", site.stateDirOf(name), "key"];
  return (await site.run("agent.ts", args)).stdout.trim();
}

/** Signs and publishes these lines. @returns the file with the signed roster */
async function publish(serial: number, ...lines: readonly string[]): Promise<string> {
  const [draft, signed] = [join(site.dir, `${serial}.txt`), join(site.dir, `${serial}.json`)];
  writeFileSync(draft, `${lines.join("\n")}\n`);
  writeFileSync(signed, (await site.gpuctl("roster", "sign", draft, "--serial", String(serial))).stdout);
  expect(await site.gpuctl("roster", "publish", signed, ...operators)).toMatchObject({ status: 0, stderr: "" });
  return signed;
}

/** An agent that was stopped reads the roster at its start, and not only within a minute. */
async function restarted(agent: Running | null): Promise<Running> {
  await agent?.stop();
  return await site.agent("gpu-1", ollama.url, operators);
}

test("an old roster: refused, by boxes, gpu-server and gpuctl, also after a restart", async () => {
  const agentsLine = `agent gpu-1 ${await keyOfAgent("gpu-1")}`;
  const { id, line } = JSON.parse((await site.gpuctl("key", "--json")).stdout);
  const old = await publish(1, agentsLine, `sender ${line}`);
  let agent = await restarted(null);
  await agent.logged("A new roster counts");
  expect((await site.gpuctl("cp", "phi4", "first", ...operators)).status).toBe(0);
  const server = await site.server(operators);
  await until(async () => {
    const { answer } = await server.call("GET", "/v1/agents/gpu-1");
    return answer["key_status"] === "confirmed";
  }, "the server has the agent's key from the roster");

  await publish(2, agentsLine, `revoked ${id}`);
  agent = await restarted(agent);
  await agent.logged("A new roster counts");
  const revoked = async (): Promise<void> => {
    const { status, stderr } = await site.gpuctl("cp", "phi4", "second", ...operators);
    expect([status, stderr]).toEqual([77, expect.stringContaining(`An operator revoked the key ${id}`)]);
  };
  await revoked();

  // Somebody who may write to the share puts the first one there again.
  copyFileSync(old, join(site.share, "gpu_status/.roster.json"));
  agent = await restarted(agent);
  const refusal = "Refuses the published roster: its serial is 1, and the one with serial 2 is newer";
  await agent.logged(refusal);
  await revoked();
  const shown = await site.gpuctl("roster", "show", ...operators);
  expect([shown.status, shown.stderr]).toEqual([73, `error: ${refusal}\n`]);
  const doctor = await site.gpuctl("doctor", ...operators);
  expect(doctor.stdout).toContain(`! roster: ${refusal}. The roster 2 still counts`);
  const box = [
    "--share",
    site.share,
    "--name",
    "gpu-1",
    "--ollama",
    ollama.url,
    "--state-dir",
    site.stateDirOf("gpu-1"),
  ];
  const onBox = await site.run("agent.ts", [...box, ...operators, "doctor"]);
  expect(onBox.stdout).toContain(`! roster: ${refusal}. The roster 2 still counts`);
}, 90_000);

test("a key on the roster beats the one that was seen first", async () => {
  await publish(1, `agent gpu-1 ${await keyOfAgent("gpu-1")}`);
  // Another box has the name before anybody has seen the right one.
  await site.agent("gpu-1", ollama.url, ["--state-dir", join(site.dir, "another box")]);
  expect((await site.gpuctl("list")).stdout).toContain("phi4");
  expect((await site.gpuctl("agents", ...operators)).stdout).toContain("conflict");
  expect((await site.gpuctl("list", ...operators)).stdout).not.toContain("phi4");
  const server = await site.server(operators);
  await until(async () => {
    const { answer } = await server.call("GET", "/v1/agents/gpu-1");
    return answer["key_status"] === "conflict";
  }, "the server shows the conflict");
}, 60_000);
