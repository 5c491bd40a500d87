// The line that shows for whom gpuctl waits, over both ways.
import { expect, test } from "bun:test";
import { answerAsAgent, modelOf } from "#tests/support/sites/scripted_agent.ts";
import { until } from "#tests/support/until.ts";
import { TwoWays, WAYS } from "./two_ways.ts";

test.each(WAYS.flatMap((way) => ["rm phi4", "pull mistral --detach", "ping"].map((line) => [way, line] as const)))(
  "over the %s, %s names the agent that has not answered yet, and when it was last seen",
  async (way, line) => {
    await using site = await TwoWays.open();
    const { promise, resolve } = Promise.withResolvers<void>();
    await site.agent("gpu-1", {
      models: [modelOf("phi4:latest")],
      answer: async (command, agent) => {
        await promise;
        return answerAsAgent(command, agent);
      },
    });
    const run = await site.start(way, [...line.split(" "), "--agent", "gpu-1"], { terminal: true });
    await until(() => /Waiting for gpu-1 … \(last seen \d+ s ago, Ctrl-C to stop\)/.test(run.stderr.text));
    expect(run.stderr.text).not.toContain("gpu-1,");
    resolve();
    expect(await run.status).toBe(0);
  },
);
