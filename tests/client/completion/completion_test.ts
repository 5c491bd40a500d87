// gpuctl completion: what it proposes, that it never takes long, and that a real bash completes with it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { ClientIo } from "#src/client/io.ts";
import { main } from "#src/client.ts";
import { Capture, ClientSite, jobOf } from "#tests/support/sites/client_run.ts";
import { modelOf } from "#tests/support/sites/scripted_agent.ts";

let site: ClientSite;
beforeEach(async () => {
  site = new ClientSite();
  const models = [modelOf("phi4:latest"), modelOf("hf.co/user/model:Q4_K_M"), modelOf("$(reboot)")];
  const first = await site.agent("gpu-1", { models });
  first.running = [{ name: "phi4:latest", size: 1, size_vram: 1, expires_at: site.ago(0) }];
  first.jobs = [jobOf({ state: "running" }), jobOf({ id: "ended", state: "succeeded" })];
  await first.publish();
  await site.agent("gpu-2", { models: [modelOf("llama3.2:1b")] });
});
afterEach(async () => {
  await site.close();
});

async function proposals(line: string): Promise<string[]> {
  const { status, stdout, stderr } = await site.run(["__complete", `gpuctl ${line}`]);
  expect([status, stderr]).toEqual([0, ""]);
  return stdout.split("\n").slice(0, -1);
}

async function words(line: string): Promise<string[]> {
  return (await proposals(line)).map((proposal) => proposal.split("\t")[0] ?? "");
}

describe("__complete", () => {
  test.each([
    ["verbs", "p", ["ping", "plan", "proxy", "prune", "ps", "pull"]],
    ["verbs after flags with values", "--agent gpu-1 --timeout 5 ca", ["cancel"]],
    ["verbs and topics after help", "help c", ["cancel", "completion", "cp"]],
    ["topics after help", "help e", ["environment", "exit-codes"]],
    ["flags of a verb", "rm --d", ["--dry-run"]],
    ["jobs to wait for", "wait ", ["01a20aac-24d0-7785-b91f-da066d157a40", "phi4:latest"]],
    ["the models there are", "rm ", ["hf.co/user/model:Q4_K_M", "llama3.2:1b", "phi4:latest"]],
    ["models that begin so, beyond a colon", "rm llama3.2:", ["llama3.2:1b"]],
    ["the models of the agent that is named", "show --agent gpu-2 ", ["llama3.2:1b"]],
    ["the models of the agents that a pattern names", "show --agent 'gpu-[2-3]' ", ["llama3.2:1b"]],
    ["nothing after the last argument", "cp phi4 other ", []],
    ["another model to delete", "rm phi4 ll", ["llama3.2:1b"]],
    ["models to load", "load l", ["llama3.2:1b"]],
    ["models in memory", "stop ", ["phi4:latest"]],
    ["jobs under way, by id and by model", "cancel ", ["01a20aac-24d0-7785-b91f-da066d157a40", "phi4:latest"]],
    ["agents", "pull phi4 --agent ", ["gpu-1", "gpu-2"]],
    ["agents after a comma, each once", "rm phi4 --agent gpu-1,", ["gpu-1,gpu-2"]],
    ["agents in a flag with =", "rm phi4 --agent=gpu-", ["--agent=gpu-1", "--agent=gpu-2"]],
    ["flags of the verb and of all", "list --f", ["--fresh"]],
    ["flags of all before a verb", "--ti", ["--timeout"]],
    ["what a flag may be", "--share-watch=l", ["--share-watch=local"]],
    ["models after how the share is watched", "--watch local rm phi", ["phi4:latest"]],
    ["jobs, also those that ended", "jobs ", ["01a20aac-24d0-7785-b91f-da066d157a40", "ended", "phi4:latest"]],
    ["agents to ping", "ping gpu-1 g", ["gpu-1", "gpu-2"]],
    ["states of jobs", "jobs --state=f", ["--state=failed"]],
    ["nothing more of jobs that are followed", "jobs --follow ", []],
    ["nothing more of jobs that are watched", "jobs --watch ", []],
    ["verbs after --watch alone", "--watch jo", ["jobs"]],
    ["shells", "completion ", ["bash", "fish", "zsh"]],
    ["verbs and models for ollama", "ollama --agent gpu-1 -- p", ["phi4:latest", "ps", "pull"]],
    ["nothing after an unknown verb", "frobnicate ", []],
  ])("proposes %s", async (_, line, expected) => {
    expect(await words(line)).toEqual(expected);
  });

  test("describes each proposal", async () => {
    expect(await proposals("show phi")).toEqual(["phi4:latest\t9.1 GB"]);
    expect(await proposals("--agent gpu-2")).toEqual(["gpu-2\tonline"]);
    expect(await proposals("canc")).toEqual(["cancel\tCancel pulls."]);
  });

  test("does not show its own verb", async () => {
    expect(await words("_")).toEqual([]);
    expect((await site.run(["--help"])).stdout).not.toContain("__complete");
  });

  test("proposes nothing, soon and without a word, when the share does not answer", async () => {
    const [stdout, stderr] = [new Capture(false, 80), new Capture(false, 80)];
    const open = async () => await new Promise<never>(() => undefined);
    const io: ClientIo = {
      stdout,
      stderr,
      color: false,
      clock: site.clock,
      signal: new AbortController().signal,
      requestedBy: "",
      runProgram: async () => 0,
      keyFile: "/nonexistent/signing.key",
      open,
    };
    const status = main(["__complete", "gpuctl rm "], io);
    await site.clock.advance(1000);
    expect([await status, stdout.text, stderr.text]).toEqual([0, "", ""]);
  });
});

describe("completion", () => {
  test("prints a script for each shell, and lists them for an unknown shell", async () => {
    for (const shell of ["bash", "zsh", "fish"])
      expect((await site.run(["completion", shell])).stdout).toContain("__complete");
    expect(await site.run(["completion", "tcsh"])).toMatchObject({ status: 64, stdout: "" });
  });

  test.each([
    ["gpuctl rm ll", ["llama3.2:1b"]],
    ["gpuctl rm llama3.2:", ["1b"]],
    ["gpuctl rm hf.co/user/model:Q4", ["Q4_K_M"]],
    ["gpuctl rm phi4 --agent=gpu-2", ["gpu-2"]],
    ["gpuctl rm $(reboot", []],
  ])("bash completes %p", async (line, expected) => {
    const { stdout } = await site.run(["completion", "bash"]);
    const answer = (await site.run(["__complete", line])).stdout;
    // The script runs the first word of the line: here one that prints what gpuctl prints.
    const shell = `gpuctl() { [ "$2" = "$LINE" ] && printf %s "$ANSWER"; }
      ${stdout}
      COMP_LINE=$LINE COMP_POINT=\${#LINE} COMP_WORDS=(gpuctl) COMP_CWORD=0
      _gpuctl; for reply in "\${COMPREPLY[@]}"; do echo "$reply"; done`;
    const run = Bun.spawn(["bash", "-c", shell], {
      env: { ...process.env, LINE: line, ANSWER: answer },
      stderr: "pipe",
    });
    expect([await run.stdout.text(), await run.stderr.text()]).toEqual([
      expected.map((word) => `${word}\n`).join(""),
      "",
    ]);
  });
});
