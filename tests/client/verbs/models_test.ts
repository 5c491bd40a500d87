// gpuctl list, rm.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { visibleText } from "#src/base/format.ts";
import { ModelsDocument } from "#src/documents/models.ts";
import { DeletedDocument } from "#src/documents/outcomes.ts";
import { newPull } from "#src/protocol.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";
import { modelOf } from "#tests/support/sites/scripted_agent.ts";

const PHI4_DIGEST = "ac896e5b8b34a1f4efa7b14d7520725140d5512484457fab45d2a4ea14c69dba";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  await site.close();
});

const phi4 = () =>
  modelOf("phi4:latest", {
    digest: PHI4_DIGEST,
    modified_at: site.ago(3 * 86_400),
    details: { family: "phi3", parameter_size: "14.7B", quantization_level: "Q4_K_M" },
    capabilities: ["completion"],
  });
const long = () =>
  modelOf("hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", {
    size: 2.02e9,
    modified_at: site.ago(120),
    digest: "f0",
  });

describe("list", () => {
  test.each(["list", "ls"])("as %s merges what the agents hold", async (verb) => {
    await site.agent("gpu-1", { models: [phi4(), long()] });
    await site.agent("gpu-2", { models: [phi4()] });
    expect(await site.run([verb])).toEqual({
      status: 0,
      stdout: [
        "NAME                                               ID              SIZE  PARAMS  QUANT   MODIFIED       AGENTS",
        "hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M  f0            2.0 GB       -  -       2 minutes ago  gpu-1",
        "phi4:latest                                        ac896e5b8b34  9.1 GB   14.7B  Q4_K_M  3 days ago     gpu-1, gpu-2",
        "",
      ].join("\n"),
      stderr: "",
    });
  });

  test("passes no character on that a terminal would obey or hide, neither as text nor as JSON", async () => {
    const name = "phi4\u200b\u202e\u009b31m:latest";
    await site.agent("gpu-1", { models: [modelOf(name)] });
    const [text, json] = [await site.run(["list"]), await site.run(["list", "--json"])];
    for (const { stdout } of [text, json]) expect(stdout).toMatch(/^[\n -~]+$/);
    expect(JSON.parse(json.stdout).models).toMatchObject([{ name }]);
    const refused = await site.run(["list", "--json", "--agent", "x\u200by\u009b"]);
    expect(refused.stderr).toMatch(/^[\n -~]+$/);
  });

  test("shows no size for a model that Ollama runs on another host", async () => {
    const remote = {
      ...modelOf("big:cloud", { digest: "c1", size: 274 }),
      remote_model: "big",
      remote_host: "https://ollama.com:443",
    };
    await site.agent("gpu-1", { models: [remote] });
    expect((await site.run(["list"])).stdout).toMatch(/^big:cloud +c1 +- +/m);
    const [model] = ModelsDocument.parse(JSON.parse((await site.run(["list", "--json"])).stdout)).models;
    expect(model).toMatchObject({ remote_model: "big", remote_host: "https://ollama.com:443" });
    const shown = (await site.run(["show", "big:cloud"])).stdout;
    expect(shown).toMatch(/^ *remote host +https:\/\/ollama\.com:443$/m);
    expect(shown).not.toMatch(/^ *size /m);
  });

  test("shows ages by the clocks of the boxes, and takes the newest of several by them", async () => {
    const [here, ahead] = [site.ago(600), site.ago(-3_000)];
    await site.agent("gpu-1", { models: [modelOf("phi4:latest", { digest: PHI4_DIGEST, modified_at: here })] });
    const two = await site.agent("gpu-2", {
      models: [
        modelOf("phi4:latest", { digest: PHI4_DIGEST, modified_at: ahead }),
        modelOf("qwen3:latest", { digest: "aa", modified_at: ahead }),
      ],
    });
    // An hour ahead: what it says was changed in 50 minutes was so 10 minutes ago.
    await two.publish({ clock_offset_ms: -3_601_000 });
    const { stdout } = await site.run(["list"]);
    expect(stdout).toMatch(/^phi4:latest .* 10 minutes ago {2}gpu-1, gpu-2$/m);
    expect(stdout).toMatch(/^qwen3:latest .* 10 minutes ago {2}gpu-2$/m);
    const { models } = ModelsDocument.parse(JSON.parse((await site.run(["list", "--json"])).stdout));
    expect(models.find(({ name }) => name === "phi4:latest")?.modified_at).toBe(here);
  });

  test("keeps a row on one line and a long name whole on a terminal, and leaves columns out for it", async () => {
    await site.agent("gpu-1", { models: [phi4(), long()] });
    const { stdout } = await site.run(["list"], { terminal: true });
    expect(stdout.split("\n")).toEqual([
      "NAME                                                 SIZE  MODIFIED       AGENTS",
      "hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M  2.0 GB  2 minutes ago  gpu-1",
      "phi4:latest                                        9.1 GB  3 days ago     gpu-1",
      "",
    ]);
  });

  test.each([30, 40, 50, 62, 80])(
    "fits a terminal of %p columns, where a long name loses its registry, and keeps its own beginning and its tag",
    async (columns) => {
      await site.agent("gpu-1", { models: [phi4(), modelOf(`hf.co/someone/${"long-".repeat(20)}name:Q4_K_M`)] });
      const { stdout } = await site.run(["list"], { terminal: true, columns });
      const lines = stdout.trimEnd().split("\n");
      expect(lines).toHaveLength(3);
      for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns);
      expect(stdout).toMatch(columns < 50 ? /^lo\S*…\S*K_M /m : /^long-\S*…\S*name:Q4_K_M /m);
      const whole = await site.run(["list", "--wide"], { terminal: true, columns });
      expect(whole.stdout).toContain(`hf.co/someone/${"long-".repeat(20)}name:Q4_K_M  ac89 `);
    },
  );

  test("names many agents in few words on a terminal, and each with --wide and in a pipe", async () => {
    const small = modelOf("gemma3:270m", { digest: "d1", modified_at: site.ago(60) });
    for (let index = 1; index <= 15; index++) {
      const few = index >= 4 && index <= 7 ? [modelOf("qwen3:8b", { digest: "q1", modified_at: site.ago(60) })] : [];
      const odd = index % 2 === 1 ? [modelOf("odd:1b", { digest: "o1", modified_at: site.ago(60) })] : [];
      await site.agent(`gpu-${index}`, { models: [small, ...(index === 3 ? [] : [phi4()]), ...few, ...odd] });
    }
    const { stdout } = await site.run(["list"], { terminal: true });
    const agentsOf = (model: string) => new RegExp(`^${model} .* ago +(.*)$`, "m").exec(stdout)?.[1];
    expect(["gemma3:270m", "phi4:latest", "qwen3:8b", "odd:1b"].map(agentsOf)).toEqual([
      "all",
      "all but gpu-3",
      "gpu-[4-7]",
      "8 of 15",
    ]);
    const names =
      "gpu-1, gpu-2, gpu-4, gpu-5, gpu-6, gpu-7, gpu-8, gpu-9, gpu-10, gpu-11, gpu-12, gpu-13, gpu-14, gpu-15";
    for (const run of [await site.run(["list", "--wide"], { terminal: true }), await site.run(["list"])])
      expect(run.stdout).toContain(` ago    ${names}\n`);
  });

  test("notes many agents that are away in one line, and a few with the reason of each", async () => {
    for (let index = 1; index <= 6; index++) await site.agent(`gpu-${index}`, { models: [phi4()] });
    const stop = async (index: number): Promise<void> =>
      await (await site.agent(`gpu-${index}`)).publish({ status: "stopped" });
    for (const index of [5, 6]) await stop(index);
    expect((await site.run(["list"])).stderr).toBe(
      "gpu-5 not included: stopped just now\ngpu-6 not included: stopped just now\n",
    );
    for (const index of [2, 3]) await stop(index);
    expect((await site.run(["list"], { terminal: true })).stderr).toBe(
      "4 agents not included: gpu-[2-3,5-6] (gpuctl agents shows why)\n",
    );
  });

  test("fits a terminal with ordinary models and a few agents", async () => {
    const models = [
      phi4(),
      modelOf("llama3.2:1b", { modified_at: site.ago(660), details: { parameter_size: "1.2B" } }),
    ];
    for (const name of ["gpu-1", "gpu-2"]) await site.agent(name, { models });
    const { stdout } = await site.run(["list"], { terminal: true });
    expect(stdout.split("\n").length).toBe(4);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  test("prints the document of /v1/models under --json", async () => {
    await site.agent("gpu-1", { models: [phi4()] });
    await site.agent("gpu-2", { models: [phi4()] });
    const { stdout } = await site.run(["list", "--json"]);
    expect(ModelsDocument.parse(JSON.parse(stdout))).toEqual({ models: [{ ...phi4(), agents: ["gpu-1", "gpu-2"] }] });
    expect(stdout.split("\n").length).toBe(2);
  });

  test("names the agents that are away beside the list, and succeeds", async () => {
    await site.agent("gpu-2", { models: [phi4()] });
    await site.clock.advance(34_000);
    await site.agent("gpu-1", { models: [phi4()] });
    const { status, stdout, stderr } = await site.run(["list"]);
    expect([status, stderr]).toEqual([0, "gpu-2 not included: silent for 34 s\n"]);
    expect(stdout).toEndWith("gpu-1\n");
    expect(JSON.parse((await site.run(["list", "--json"])).stdout).unavailable).toEqual([
      { agent: "gpu-2", code: "unavailable", reason: "silent for 34 s" },
    ]);
  });

  test("asks the agents with --fresh only", async () => {
    const agent = await site.agent("gpu-1", { models: [phi4()], answer: () => ({ models: [long()] }) });
    expect((await site.run(["list"])).stdout).toContain("phi4:latest");
    expect(agent.commands).toEqual([]);
    expect((await site.run(["list", "--fresh"])).stdout).toContain("hf.co/bartowski");
    expect(agent.commands.map(({ command }) => command)).toEqual(["list_models"]);
  });

  test("asks a legacy service by command", async () => {
    await site.legacyService({ success: true, models: [phi4()] });
    expect((await site.run(["list"])).stdout).toMatch(/^phi4:latest {2}ac896e5b8b34 {2}9\.1 GB .* 3 days ago {2}gpu$/m);
  });

  test("says that nothing is installed and what to do", async () => {
    await site.agent("gpu-1");
    expect(await site.run(["list"])).toEqual({
      status: 0,
      stdout: "",
      stderr: "No model is installed\n  Pull one: gpuctl pull phi4\n",
    });
    expect((await site.run(["list", "--json"])).stdout).toBe('{"models":[]}\n');
  });

  test("fails with unavailable when no agent is there, or none that can say", async () => {
    expect(await site.run(["list"])).toMatchObject({
      status: 69,
      stderr: expect.stringContaining("No agent is online"),
    });
    await site.agent("gpu-1");
    await site.clock.advance(34_000);
    const { status, stderr } = await site.run(["list"]);
    expect([status, stderr.split("\n")[0]]).toEqual([69, "error: No agent is online: gpu-1 has been silent for 34 s"]);
  });

  test("lets no text of the share move the cursor", async () => {
    const details = { parameter_size: "7\u001b[2J", quantization_level: "Q\u202e" };
    await site.agent("gpu-1", { models: [modelOf("a\u001b[2J\nb\u202e", { details })] });
    const { stdout } = await site.run(["list"]);
    expect(stdout).toContain("\na [2J b ");
    expect(visibleText(stdout)).toBe(stdout);
  });
});

describe("rm", () => {
  test("deletes from the only agent", async () => {
    const agent = await site.agent("gpu-1", { models: [phi4()] });
    expect(await site.run(["rm", "phi4"])).toEqual({
      status: 0,
      stdout: "AGENT  RESULT\ngpu-1  deleted phi4:latest\n",
      stderr: "",
    });
    expect(agent.models).toEqual([]);
  });

  test("deletes several models, each with its own result and each once", async () => {
    const agent = await site.agent("gpu-1", { models: [phi4(), long()] });
    expect(await site.run(["rm", "phi4", "nothing", "PHI4:latest", long().name])).toEqual({
      status: 1,
      stdout: [
        "AGENT  RESULT",
        "gpu-1  deleted phi4:latest",
        "gpu-1  failed: nothing:latest is not installed",
        `gpu-1  deleted ${long().name}`,
        "",
      ].join("\n"),
      stderr: "1 of 3 deletions failed\n",
    });
    expect(agent.models).toEqual([]);
  });

  test("deletes several models on several agents, and names both in the document", async () => {
    await site.agent("gpu-1", { models: [phi4(), long()] });
    await site.agent("gpu-2", { models: [phi4()] });
    const { status, stdout } = await site.run(["rm", "phi4", long().name, "--all", "--json"]);
    expect(status).toBe(0);
    const results = DeletedDocument.parse(JSON.parse(stdout)).agents.map(({ agent, model, code }) => [
      agent,
      model,
      code,
    ]);
    expect(results).toEqual([
      ["gpu-1", "phi4:latest", null],
      ["gpu-2", "phi4:latest", null],
      ["gpu-1", long().name, null],
      ["gpu-2", long().name, "not_found"],
    ]);
  });

  test("deletes nothing when one of the names is invalid", async () => {
    const agent = await site.agent("gpu-1", { models: [phi4()] });
    expect((await site.run(["rm", "phi4", "no such name"])).status).toBe(64);
    expect(agent.commands).toEqual([]);
  });

  test("asks which agent is meant when there are several, and sends nothing", async () => {
    const agents = [await site.agent("gpu-1", { models: [phi4()] }), await site.agent("gpu-2")];
    const { status, stdout, stderr } = await site.run(["rm", "phi4"]);
    expect([status, stdout]).toEqual([73, ""]);
    expect(stderr).toBe("error: More than one agent (gpu-1, gpu-2)\n  Choose with --agent NAME, or use --all\n");
    expect(agents.flatMap(({ commands }) => commands)).toEqual([]);
    const json = await site.run(["rm", "phi4", "--json"]);
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: "conflict" } });
  });

  test("shows the result of each agent with --all, and exits with 1 when not all succeeded", async () => {
    await site.agent("gpu-1", { models: [phi4()] });
    await site.agent("gpu-2", { answer: () => ({ success: false, code: "conflict", error: "It is in use" }) });
    expect(await site.run(["rm", "phi4", "--all"])).toEqual({
      status: 1,
      stdout: "AGENT  RESULT\ngpu-1  deleted phi4:latest\ngpu-2  failed: gpu-2 says: It is in use\n",
      stderr: "1 of 2 agents failed\n",
    });
  });

  test("succeeds when one of several agents never had the model", async () => {
    await site.agent("gpu-1", { models: [phi4()] });
    await site.agent("gpu-2");
    expect(await site.run(["rm", "phi4", "--all"])).toEqual({
      status: 0,
      stdout: "AGENT  RESULT\ngpu-1  deleted phi4:latest\ngpu-2  phi4:latest is not installed\n",
      stderr: "",
    });
  });

  test("exits with 66 when none of several agents had the model, and with 1 when one could not answer", async () => {
    await site.agent("gpu-1");
    await site.agent("gpu-2");
    expect(await site.run(["remove", "phi4", "--all"])).toEqual({
      status: 66,
      stdout: "AGENT  RESULT\ngpu-1  phi4:latest is not installed\ngpu-2  phi4:latest is not installed\n",
      stderr: "error: No agent has phi4:latest\n",
    });
    await site.agent("gpu-3", { answer: () => ({ success: false, code: "unavailable", error: "Ollama is away" }) });
    expect((await site.run(["delete", "phi4", "--all", "--json"])).status).toBe(1);
  });

  test("reports of one agent, too, that it does not have the model, and exits with 66", async () => {
    const error = "Cannot delete \"zz:latest\": Ollama says: model 'zz:latest' not found";
    await site.agent("gpu-1", { answer: () => ({ success: false, code: "not_found", error, hint: "gpuctl list" }) });
    await site.agent("gpu-2");
    const expected = { status: 66, stdout: "", stderr: "error: zz:latest is not installed\n" };
    expect(await site.run(["rm", "zz", "--agent", "gpu-1"])).toEqual(expected);
    const { agents } = DeletedDocument.parse(
      JSON.parse((await site.run(["rm", "zz", "--agent", "gpu-1", "--json"])).stdout),
    );
    expect(agents).toMatchObject([{ agent: "gpu-1", code: "not_found", error }]);
  });

  test("prints the document of DELETE under --json", async () => {
    await site.agent("gpu-1", { models: [phi4()] });
    await site.agent("gpu-2");
    const { status, stdout, stderr } = await site.run(["rm", "phi4", "--all", "--json"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(DeletedDocument.parse(JSON.parse(stdout)).agents).toEqual([
      { agent: "gpu-1", model: "phi4:latest", code: null, error: null },
      { agent: "gpu-2", model: "phi4:latest", code: "not_found", error: 'Model "phi4:latest" is not on gpu-2' },
    ]);
  });

  test("reports what was freed, and what stays because other models share it", async () => {
    const answers = { "gpu-1": [9_100_000_000, 0], "gpu-2": [500, 9_100_000_000] } as const;
    for (const [name, [freed_bytes, shared_bytes]] of Object.entries(answers)) {
      await site.agent(name, { answer: () => ({ freed_bytes, shared_bytes }) });
    }
    expect((await site.run(["rm", "phi4", "--all"])).stdout).toBe(
      "AGENT  RESULT\n" +
        "gpu-1  deleted phi4:latest, freed 9.1 GB\n" +
        "gpu-2  deleted phi4:latest, freed 500 B; 9.1 GB still used by other models\n",
    );
    const { stdout } = await site.run(["rm", "phi4", "--agent", "gpu-2", "--json"]);
    expect(DeletedDocument.parse(JSON.parse(stdout)).agents).toEqual([
      { agent: "gpu-2", model: "phi4:latest", code: null, error: null, freed_bytes: 500, shared_bytes: 9_100_000_000 },
    ]);
  });

  test("says when there was but a pull to cancel, and what remains of it", async () => {
    const job = { ...newPull("id-1", "gpu-1", "phi4:latest"), state: "cancelled", code: "cancelled" } as const;
    await site.agent("gpu-1", { answer: () => ({ job: { ...job, partial_bytes: 2e9 } }) });
    expect((await site.run(["rm", "phi4"])).stdout).toContain(
      "gpu-1  cancelled the pull of phi4:latest, which was not installed",
    );
  });

  test("exits by the code of the only agent asked, with the words of the agent as such", async () => {
    const hint = "Unload it first";
    await site.agent("gpu-1", { answer: () => ({ success: false, code: "conflict", error: "It is in use", hint }) });
    expect(await site.run(["rm", "phi4"])).toEqual({
      status: 73,
      stdout: "",
      stderr: "error: gpu-1 says: It is in use\n  gpu-1 says: Unload it first\n",
    });
    const json = await site.run(["rm", "phi4", "--json"]);
    expect([json.status, JSON.parse(json.stdout).agents[0].code]).toEqual([73, "conflict"]);
  });

  test("sends nothing to anyone when one of the agents named is not there", async () => {
    const agent = await site.agent("gpu-1", { models: [phi4()] });
    expect((await site.run(["rm", "phi4", "--agent", "gpu-1,gpu-9"])).status).toBe(66);
    expect(agent.commands).toEqual([]);
  });

  test("exits with 130 when it is stopped, and shows what was done by then", async () => {
    await site.agent("gpu-1", { models: [phi4()] });
    await site.agent("gpu-2", { answer: () => undefined });
    const { status, stop, stdout } = site.start(["rm", "phi4", "--all"]);
    await site.clock.advance(100);
    stop();
    await site.clock.advance(100);
    expect(await status).toBe(130);
    expect(stdout.text).toContain("gpu-1  deleted phi4:latest\ngpu-2  failed: Interrupted");
  });
});
