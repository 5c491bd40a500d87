// The words of `gpuctl pull` for pulls that do not run: queued, not answered yet, and not reporting.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { ClientSite } from "#tests/support/sites/client_run.ts";
import type { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { WatchedRun } from "./watched_run.ts";

const SILENT_MS = 25_000;

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => await site.close());

/** Five agents, of which the first two accept the pull: it is queued. */
async function pull(rows: number): Promise<{ readonly run: WatchedRun; readonly agents: readonly ScriptedAgent[] }> {
  const agents: ScriptedAgent[] = [];
  for (let index = 1; index <= 5; index++) {
    const options = index > 2 ? { answer: () => undefined } : {};
    agents.push(await site.agent(`gpu-${index}`, options));
  }
  const run = new WatchedRun(site, ["pull", "phi4", "--all", "--timeout", "600"], { columns: 80, rows });
  await site.clock.advance(300);
  return { run, agents };
}

test("a pull without an answer is not called as one that is queued", async () => {
  const { run } = await pull(5);
  expect((await run.screen())[0]).toBe("0 of 5 done, 2 queued, 3 waiting for an answer");
  run.stop();
});

test("a pull whose agent is silent is `not reporting`, in its line and in the summary", async () => {
  for (const rows of [24, 5]) {
    const { run, agents } = await pull(rows);
    for (let ms = 0; ms < SILENT_MS; ms += 1_000) {
      for (const agent of agents.slice(1)) await agent.publish();
      await site.clock.advance(1_000);
    }
    const [first] = await run.screen();
    if (rows > 5) expect(first).toMatch(/^gpu-1 {2}not reporting {2}gpu-1 has been silent for \d+ s$/);
    else expect(first).toBe("0 of 5 done, 1 not reporting, 1 queued, 3 waiting for an answer");
    run.stop();
    await site.close();
    site = new ClientSite();
  }
});
