// gpuctl mirror add --agent: an agent fetches, and gpuctl follows that in its state.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Fetch } from "#src/protocol.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";
import type { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

let site: ClientSite;
let agent: ScriptedAgent;
beforeEach(async () => {
  site = new ClientSite();
  agent = await site.agent("gpu-3");
});
afterEach(async () => await site.close());

const STARTED: Fetch = { id: "fetch-1", model: "phi4:latest", state: "queued", completed_bytes: 0 };

/** The agent starts a fetch, and shows it. */
function starts(): void {
  agent.answer = () => {
    agent.always = { fetches: [STARTED] };
    return { fetch: STARTED };
  };
}

/** The fetch goes on, and gpuctl sees it. */
async function goesOn(change: Partial<Fetch>): Promise<void> {
  await settle();
  agent.always = { fetches: [{ ...STARTED, ...change }] };
  await agent.publish();
  await site.clock.advance(10_500);
}

describe("gpuctl mirror add --agent", () => {
  test("sends the command, and shows the fetch until the model is in the mirror", async () => {
    starts();
    const run = site.start(["mirror", "add", "phi4", "--agent", "gpu-3"]);
    await goesOn({ state: "running", completed_bytes: 3e9, total_bytes: 9e9 });
    await goesOn({ state: "queued", completed_bytes: 3e9, total_bytes: 9e9, error: "registry.ollama.ai answers 503" });
    await goesOn({ state: "succeeded", completed_bytes: 9e9, total_bytes: 9e9, finished_at: agent.now() });
    expect(await run.status).toBe(0);
    expect(run.stdout.text).toBe("phi4:latest is in the mirror: 9.0 GB\n");
    expect(run.stderr.text).toContain("phi4:latest: 3.0 GB of 9.0 GB\n");
    expect(run.stderr.text).toContain("phi4:latest: 3.0 GB of 9.0 GB, tried again: registry.ollama.ai answers 503\n");
    expect(agent.commands).toMatchObject([{ command: "fetch_model", model_name: "phi4:latest" }]);
  });

  test("prints a line of JSON for each model", async () => {
    starts();
    const run = site.start(["mirror", "add", "phi4", "--agent", "gpu-3", "--json"]);
    await goesOn({ state: "succeeded", completed_bytes: 9e9, total_bytes: 9e9, finished_at: agent.now() });
    expect(await run.status).toBe(0);
    const document = { model: "phi4:latest", agent: "gpu-3", state: "succeeded", total_bytes: 9e9, error: null };
    expect(JSON.parse(run.stdout.text)).toMatchObject(document);
  });

  test("fails as the fetch does, in the agent's words", async () => {
    starts();
    const run = site.start(["mirror", "add", "phi4", "--agent", "gpu-3"]);
    const end = { finished_at: agent.now() };
    await goesOn({ state: "failed", code: "not_found", error: "registry.ollama.ai has no phi4:latest", ...end });
    expect(await run.status).toBe(66);
    expect(run.stderr.text).toContain(
      "gpu-3 says: Cannot fetch phi4:latest into the mirror: registry.ollama.ai has no phi4:latest",
    );
  });

  test("stops with Ctrl-C, while the agent goes on", async () => {
    starts();
    const run = site.start(["mirror", "add", "phi4", "--agent", "gpu-3"]);
    await goesOn({ state: "running" });
    run.stop();
    expect(await run.status).toBe(130);
    expect(run.stderr.text).toContain("gpu-3 continues to fetch phi4:latest");
    expect(agent.commands).toHaveLength(1);
  });

  test.each([
    ["is no source", { success: false, code: "forbidden", error: "this box is no source" } as const, 77, "no source"],
    [
      "is too old",
      { success: false, code: "unimplemented", error: "Unknown command" } as const,
      69,
      "too old for this",
    ],
  ])("of an agent that %s fails at once", async (_, answer, exit, text) => {
    agent.answer = () => answer;
    const { status, stderr } = await site.run(["mirror", "add", "phi4", "--agent", "gpu-3"]);
    expect([status, stderr]).toEqual([exit, expect.stringContaining(text)]);
  });

  test("takes one agent", async () => {
    await site.agent("gpu-4");
    expect(await site.run(["mirror", "add", "phi4", "--agent", "gpu-3,gpu-4"])).toMatchObject({ status: 64 });
    expect(agent.commands).toEqual([]);
  });
});
